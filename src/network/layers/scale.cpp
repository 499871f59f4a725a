#include "../layer_table.hpp"
#include "options.hpp"

#include <temblor/network/affine_interval.hpp>
#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// p_c = w_c z_c + b_c: one weight and one bias a channel.
class Scale final : public Layer, public DoubleDoubleLayer {
 public:
  std::string_view kind() const override { return "scale"; }
  bool weighted() const override { return true; }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    one_input(*this, inputs);
    const Index channels = inputs[0].dims[0];
    if (weights == nullptr || weights->weight.rows() != channels || weights->weight.cols() != 1) {
      input_error("a scale layer's weights", "the input has " + std::to_string(channels) + " channels",
                  "store weights as [channels x 1]");
    }
    if (weights->bias.size() != 0 && weights->bias.size() != channels) {
      input_error("a scale bias has " + std::to_string(weights->bias.size()) + " values",
                  "the input has " + std::to_string(channels) + " channels",
                  "store one value a channel, or no bias");
    }
    return inputs[0];
  }

  void forward(Inputs in, const Weights* weights, Matrix& out) const override {
    out.resize(in[0]->rows(), in[0]->cols());
    each(*weights, in[0]->rows(), in[0]->cols(), [&](Index c, Index at, Index n) {
      const float w = weights->weight(c, 0);
      const float b = bias(*weights, c);
      const float* from = in[0]->data() + at;
      float* to = out.data() + at;
      for (Index i = 0; i < n; ++i) to[i] = b + w * from[i];
    });
  }

  void backward(Inputs in, const Matrix&, const Weights* weights, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights* grad_weights) const override {
    each(*weights, grad_out.rows(), grad_out.cols(), [&](Index c, Index at, Index n) {
      const Eigen::Map<const Vector> above(grad_out.data() + at, n);
      if (grad_in[0] != nullptr)
        Eigen::Map<Vector>(grad_in[0]->data() + at, n) += weights->weight(c, 0) * above;
      if (grad_weights == nullptr) return;
      grad_weights->weight(c, 0) += above.dot(Eigen::Map<const Vector>(in[0]->data() + at, n));
      if (grad_weights->bias.size() != 0) grad_weights->bias(c) += above.sum();
    });
  }

  void interval(std::span<const Interval* const> in, const Weights* weights, const Radius* radius,
                Interval& out) const override {
    out.lower.resize(in[0]->lower.rows(), in[0]->lower.cols());
    out.upper.resize(out.lower.rows(), out.lower.cols());
    Interval seen, result;
    each(*weights, out.lower.rows(), out.lower.cols(), [&](Index c, Index at, Index n) {
      seen.lower = Eigen::Map<const MatrixD>(in[0]->lower.data() + at, n, 1);
      seen.upper = Eigen::Map<const MatrixD>(in[0]->upper.data() + at, n, 1);
      VectorD constant;
      if (weights->bias.size() != 0) constant = VectorD::Constant(1, weights->bias(c));
      Radius own;
      if (radius != nullptr) own = of_channel(*radius, c);
      affine_interval(MatrixD::Constant(1, 1, weights->weight(c, 0)), constant,
                      radius != nullptr ? &own : nullptr, seen, result);
      std::copy_n(result.lower.data(), n, out.lower.data() + at);
      std::copy_n(result.upper.data(), n, out.upper.data() + at);
    });
  }

  bool reach(const MatrixD& magnitude, const Weights& weights, const Radius& radius,
             MatrixD& out) const override {
    out.resize(magnitude.rows(), magnitude.cols());
    each(weights, out.rows(), out.cols(), [&](Index c, Index at, Index n) {
      const MatrixD seen = Eigen::Map<const MatrixD>(magnitude.data() + at, n, 1);
      Eigen::Map<MatrixD>(out.data() + at, n, 1) = radius_reach(of_channel(radius, c), 1, seen);
    });
    return true;
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights* weights, std::span<MatrixD* const> on_inputs,
            VectorD* constant) const override {
    each(*weights, coefficients.rows(), coefficients.cols(), [&](Index c, Index at, Index n) {
      const Eigen::Map<const VectorD> above(coefficients.data() + at, n);
      if (on_inputs[0] != nullptr)
        Eigen::Map<VectorD>(on_inputs[0]->data() + at, n) +=
            static_cast<double>(weights->weight(c, 0)) * above;
      if (constant != nullptr) (*constant)(at / coefficients.cols()) += bias(*weights, c) * above.sum();
    });
  }

  void run(std::span<const DoubleDouble* const> in, const Weights* weights,
           DoubleDouble& out) const override {
    out = *in[0];
    DoubleDouble seen, result;
    each(*weights, out.high.rows(), out.high.cols(), [&](Index c, Index at, Index n) {
      const DoubleDoubleProduct product(weights->weight.row(c), Vector::Constant(1, bias(*weights, c)));
      seen.high = Eigen::Map<const MatrixD>(in[0]->high.data() + at, n, 1);
      seen.low = Eigen::Map<const MatrixD>(in[0]->low.data() + at, n, 1);
      seen.radius = Eigen::Map<const MatrixD>(in[0]->radius.data() + at, n, 1);
      seen.radius = product.spread(seen);
      product.multiply(seen, result);
      std::copy_n(result.high.data(), n, out.high.data() + at);
      std::copy_n(result.low.data(), n, out.low.data() + at);
      std::copy_n(result.radius.data(), n, out.radius.data() + at);
    });
  }

  double float_error() const override { return 0.0; }

 private:
  static float bias(const Weights& weights, Index c) {
    return weights.bias.size() != 0 ? weights.bias(c) : 0.0F;
  }

  /// visit(channel, first value, values) for every image's channels.
  template <class Visit>
  static void each(const Weights& weights, Index images, Index units, const Visit& visit) {
    const Index channels = weights.weight.rows();
    const Index plane = units / channels;
    for (Index n = 0; n < images; ++n) {
      for (Index c = 0; c < channels; ++c) visit(c, n * units + c * plane, plane);
    }
  }

  static Radius of_channel(const Radius& radius, Index c) {
    Radius own = radius;
    if (radius.weight.size() != 0) own.weight = radius.weight.row(c);
    if (radius.bias.size() != 0) own.bias = radius.bias.segment(c, 1);
    return own;
  }
};

}  // namespace

std::unique_ptr<Layer> make_scale(const LayerOptions&) {
  return std::make_unique<Scale>();
}

}  // namespace temblor
