#include "../layer_table.hpp"

#include <temblor/base/error.hpp>
#include <temblor/network/affine_interval.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// p = W z + b on flattened inputs of any shape.
class Dense final : public Layer, public DoubleDoubleLayer {
 public:
  std::string_view kind() const override { return "dense"; }
  bool weighted() const override { return true; }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    if (inputs.size() != 1)
      input_error("a dense layer has " + std::to_string(inputs.size()) + " inputs", "", "give it one");
    if (weights == nullptr || weights->weight.size() == 0) {
      input_error("a dense layer has no weights", "", "give it a matrix [outputs x inputs]");
    }
    const Matrix& w = weights->weight;
    if (w.cols() != inputs[0].size()) {
      input_error("dense weights are [" + std::to_string(w.rows()) + " x " + std::to_string(w.cols()) + "]",
                  "the layer's input has " + std::to_string(inputs[0].size()) + " values",
                  "store weights as [outputs x inputs]");
    }
    if (weights->bias.size() != 0 && weights->bias.size() != w.rows()) {
      input_error("a dense bias has " + std::to_string(weights->bias.size()) + " values",
                  "the layer has " + std::to_string(w.rows()) + " outputs",
                  "store one value an output, or no bias");
    }
    return {{w.rows()}};
  }

  void forward(Inputs in, const Weights* weights, Matrix& out) const override {
    out.resize(in[0]->rows(), weights->weight.rows());
    thread_local PackedDense packed;
    packed.pack(weights->weight, weights->bias);
    packed.multiply({in[0]->data(), in[0]->cols(), nullptr}, in[0]->rows(), out.data(), out.cols());
  }

  void backward(Inputs in, const Matrix&, const Weights* weights, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights* grad_weights) const override {
    if (grad_in[0] != nullptr) grad_in[0]->noalias() += grad_out * weights->weight;
    if (grad_weights != nullptr) {
      grad_weights->weight.noalias() += grad_out.transpose() * *in[0];
      if (grad_weights->bias.size() != 0) grad_weights->bias += grad_out.colwise().sum().transpose();
    }
  }

  void interval(std::span<const Interval* const> in, const Weights* weights, const Radius* radius,
                Interval& out) const override {
    VectorD bias;
    if (weights->bias.size() != 0) bias = weights->bias.cast<double>();
    affine_interval(weights->weight.cast<double>(), bias, radius, *in[0], out);
  }

  bool reach(const MatrixD& magnitude, const Weights& weights, const Radius& radius,
             MatrixD& out) const override {
    out = radius_reach(radius, weights.weight.rows(), magnitude);
    return true;
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights* weights, std::span<MatrixD* const> on_inputs,
            VectorD* constant) const override {
    if (on_inputs[0] != nullptr) on_inputs[0]->noalias() += coefficients * weights->weight.cast<double>();
    if (constant != nullptr && weights->bias.size() != 0)
      constant->noalias() += coefficients * weights->bias.cast<double>();
  }

  void run(std::span<const DoubleDouble* const> in, const Weights* weights,
           DoubleDouble& out) const override {
    const DoubleDoubleProduct product(weights->weight, weights->bias);
    product.multiply({in[0]->high, in[0]->low, product.spread(*in[0])}, out);
  }

  double float_error() const override { return 0.0; }
};

}  // namespace

std::unique_ptr<Layer> make_dense(const LayerOptions&) {
  return std::make_unique<Dense>();
}

}  // namespace temblor
