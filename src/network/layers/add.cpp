#include "../layer_table.hpp"
#include "options.hpp"

#include <cmath>

#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// z = s_0 z_0 + s_1 z_1 + ..., added in the order of the inputs, signs 1 or -1.
class Add final : public Layer, public DoubleDoubleLayer {
 public:
  explicit Add(const LayerOptions& options) : signs_(options.at("signs")) {
    for (const double sign : signs_) {
      if (std::abs(sign) != 1)
        input_error("a sign of an add layer is " + std::to_string(sign), "not 1 or -1", "correct it");
    }
  }
  std::string_view kind() const override { return "add"; }
  LayerOptions options() const override { return {{"signs", signs_}}; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    auto layer = std::make_shared<Add>(*this);
    layer->inputs_ = inputs.size();
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    if (inputs.size() < 2 || signs_.size() > inputs.size())
      input_error("an add layer has " + std::to_string(inputs.size()) + " inputs and " +
                      std::to_string(signs_.size()) + " signs",
                  "", "give it two inputs or more, and no more signs than inputs");
    for (const Shape& shape : inputs) {
      if (shape != inputs[0])
        input_error("an add layer's inputs are " + inputs[0].text() + " and " + shape.text(), "",
                    "they must agree");
    }
    return inputs[0];
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override {
    out = static_cast<float>(sign(0)) * *in[0] + static_cast<float>(sign(1)) * *in[1];
    for (std::size_t i = 2; i < in.size(); ++i) out += static_cast<float>(sign(i)) * *in[i];
  }

  void backward(Inputs in, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (grad_in[i] != nullptr) *grad_in[i] += static_cast<float>(sign(i)) * grad_out;
    }
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    // Each sum is widened by twice what it may lose to rounding.
    out.lower = MatrixD::Zero(in[0]->lower.rows(), in[0]->lower.cols());
    out.upper = out.lower;
    for (std::size_t i = 0; i < in.size(); ++i) {
      out.lower += sign(i) > 0 ? in[i]->lower : MatrixD(-in[i]->upper);
      out.upper += sign(i) > 0 ? in[i]->upper : MatrixD(-in[i]->lower);
      if (i == 0) continue;
      out.lower -= out.lower.cwiseAbs() * 0x1p-51;
      out.upper += out.upper.cwiseAbs() * 0x1p-51;
    }
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights*, std::span<MatrixD* const> on_inputs,
            VectorD*) const override {
    for (std::size_t i = 0; i < on_inputs.size(); ++i) {
      if (on_inputs[i] != nullptr) *on_inputs[i] += sign(i) * coefficients;
    }
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    temblor::add(in, signs_, out);
  }

  double float_error() const override { return 0.0; }
  double float_relative() const override { return 1.01 * 0x1p-24 * static_cast<double>(inputs_ - 1); }

 private:
  double sign(std::size_t i) const { return i < signs_.size() ? signs_[i] : 1.0; }

  std::vector<double> signs_;
  std::size_t inputs_ = 2;
};

}  // namespace

std::unique_ptr<Layer> make_add(const LayerOptions& options) {
  return std::make_unique<Add>(options);
}

}  // namespace temblor
