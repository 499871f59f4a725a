#include "../layer_table.hpp"
#include "same_values.hpp"

namespace temblor {
namespace {

/// One long dimension: channels slowest, then rows, then columns.
class Flatten final : public SameValues {
 public:
  std::string_view kind() const override { return "flatten"; }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    if (inputs.size() != 1 || weights != nullptr) {
      input_error("flatten layer", "it takes one input and no weights", "correct the network file");
    }
    return Shape{{inputs[0].size()}};
  }
};

}  // namespace

std::unique_ptr<Layer> make_flatten(const LayerOptions&) {
  return std::make_unique<Flatten>();
}

}  // namespace temblor
