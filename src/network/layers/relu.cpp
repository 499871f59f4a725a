#include "../layer_table.hpp"

#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/network/double_double.hpp>
#include <temblor/network/pass_back.hpp>

namespace temblor {
namespace {

/// z = max(p, 0), written so that NaN stays NaN.
class Relu final : public Layer, public PassesBack, public DoubleDoubleLayer {
 public:
  std::string_view kind() const override { return "relu"; }
  bool elementwise() const override { return true; }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    if (inputs.size() != 1)
      input_error("a relu layer has " + std::to_string(inputs.size()) + " inputs", "", "give it one");
    return inputs[0];
  }

  void apply(float* values, Index n) const override {
    for (Index i = 0; i < n; ++i) values[i] = values[i] < 0.0F ? 0.0F : values[i];
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override {
    out.resize(in[0]->rows(), in[0]->cols());
    const float* from = in[0]->data();
    float* to = out.data();
    for (Index i = 0; i < out.size(); ++i) to[i] = from[i] < 0.0F ? 0.0F : from[i];
  }

  void backward(Inputs in, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] == nullptr) return;
    const float* input = in[0]->data();
    const float* upper = grad_out.data();
    float* lower = grad_in[0]->data();
    for (Index i = 0; i < grad_out.size(); ++i) lower[i] += input[i] > 0.0F ? upper[i] : 0.0F;
  }

  void pass_back(Inputs, const Matrix& out, const Weights*, Matrix& gradient, Weights*) const override {
    const float* output = out.data();
    float* values = gradient.data();
    for (Index i = 0; i < gradient.size(); ++i) values[i] = output[i] > 0.0F ? values[i] : 0.0F;
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    out.lower = in[0]->lower.cwiseMax(0.0);
    out.upper = in[0]->upper.cwiseMax(0.0);
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    bend(*in[0], 1, 0, std::numeric_limits<double>::infinity(), out);
  }

  double float_error() const override { return 0.0; }
};

}  // namespace

std::unique_ptr<Layer> make_relu(const LayerOptions&) {
  return std::make_unique<Relu>();
}

}  // namespace temblor
