#include "../layer_table.hpp"
#include "same_values.hpp"

namespace temblor {
namespace {

class Reshape final : public SameValues {
 public:
  explicit Reshape(const LayerOptions& options) : shape_{wholes(options, "shape")} {
    for (const Index size : shape_.dims) {
      if (size < 1 || size > (Index{1} << 31) || shape_.dims.size() > 3)
        input_error("a reshape layer's shape is '" + shape_.text() + "'", "not a shape",
                    "give one to three positive sizes");
    }
  }
  std::string_view kind() const override { return "reshape"; }
  LayerOptions options() const override {
    return {{"shape", std::vector<double>(shape_.dims.begin(), shape_.dims.end())}};
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    if (inputs[0].size() != shape_.size())
      input_error("a reshape layer turns " + inputs[0].text() + " into " + shape_.text(),
                  "they have different numbers of values", "correct the shape");
    return shape_;
  }

 private:
  Shape shape_;
};

}  // namespace

std::unique_ptr<Layer> make_reshape(const LayerOptions& options) {
  return std::make_unique<Reshape>(options);
}

}  // namespace temblor
