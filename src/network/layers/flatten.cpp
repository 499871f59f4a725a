#include "../layer_table.hpp"

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>

namespace temblor {
namespace {

/// out = in, its shape one long dimension: channels slowest, then rows, then columns.
class Flatten final : public Layer {
 public:
  std::string_view kind() const override { return "flatten"; }
  bool reshapes() const override { return true; }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    if (inputs.size() != 1 || weights != nullptr) {
      input_error("flatten layer", "it takes one input and no weights", "correct the network file");
    }
    return Shape{{inputs[0].size()}};
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override { out = *in[0]; }

  void backward(Inputs, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] != nullptr) *grad_in[0] += grad_out;
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    out = *in[0];
  }

  double float_error() const override { return 0.0; }
};

}  // namespace

std::unique_ptr<Layer> make_flatten() {
  return std::make_unique<Flatten>();
}

}  // namespace temblor
