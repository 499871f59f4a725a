#include "../conv_gradient.hpp"
#include "../layer_table.hpp"
#include "options.hpp"

#include <optional>

#include <temblor/base/error.hpp>
#include <temblor/network/affine_interval.hpp>
#include <temblor/network/conv.hpp>
#include <temblor/network/double_double.hpp>
#include <temblor/network/pass_back.hpp>

namespace temblor {
namespace {

/// p_c(position) = sum over taps of W_c z + b_c, channels of one group over the inputs of one group.
class Conv2d final : public ConvolutionLayer, public PassesBack, public DoubleDoubleLayer {
  Index channels() const { return sliding_->channels() / groups_; }  ///< of the inputs of one group

  /// Rows of one group's output channels.
  template <class Values>
  auto of_group(Values& values, Index group) const {
    const Index rows = values.rows() / groups_;
    return values.middleRows(group * rows, rows);
  }

  /// One image's outputs of one group, [channels x positions].
  template <class Values>
  auto outputs_of(Values& values, Index n, Index group) const {
    using Scalar = typename Values::Scalar;
    using Plain = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Mapped = std::conditional_t<std::is_const_v<Values>, const Plain, Plain>;
    const Index rows = values.cols() / sliding_->positions() / groups_;
    return Eigen::Map<Mapped>(values.data() + n * values.cols() + group * rows * sliding_->positions(), rows,
                              sliding_->positions());
  }

  void unfold(const MatrixD& values, Index n, Index group, MatrixD& to) const {
    to.resize(sliding_->positions(), channels() * sliding_->taps());
    sliding_->unfold(values.data() + n * values.cols(), group * channels(), channels(), to.data());
  }

  /// For any geometry.
  void fold_input_gradient(const Matrix& weight, const Matrix& grad_out, Matrix& grad_in) const {
    Matrix columns;
    for (Index n = 0; n < grad_out.rows(); ++n) {
      for (Index group = 0; group < groups_; ++group) {
        columns.noalias() = outputs_of(grad_out, n, group).transpose() * of_group(weight, group);
        sliding_->fold_add(columns.data(), group * channels(), channels(),
                           grad_in.data() + n * grad_in.cols());
      }
    }
  }

  void add_parameter_gradient(const Matrix& in, const Matrix& grad_out, Weights& grad) const {
    add_kernel_gradient(*sliding_, groups_, in, grad_out, grad.weight);
    if (grad.bias.size() == 0) return;
    for (Index n = 0; n < grad_out.rows(); ++n) {
      grad.bias += Eigen::Map<const Matrix>(grad_out.data() + n * grad_out.cols(), grad.bias.size(),
                                            sliding_->positions())
                       .rowwise()
                       .sum();
    }
  }

  Radius radius_of(const Radius& radius, Index group, Index outputs) const {
    Radius part = radius;
    if (radius.weight.size() != 0) part.weight = radius.weight.middleRows(group * outputs, outputs);
    if (radius.bias.size() != 0) part.bias = radius.bias.segment(group * outputs, outputs);
    return part;
  }

 public:
  explicit Conv2d(const LayerOptions& options) : options_(options), groups_(whole(options, "groups")) {
    if (groups_ < 1) input_error("groups are " + std::to_string(groups_), "not positive", "give 1 or more");
  }

  std::string_view kind() const override { return "conv2d"; }
  bool weighted() const override { return true; }
  LayerOptions options() const override { return options_; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    one_input(*this, inputs);
    auto layer = std::make_shared<Conv2d>(*this);
    layer->sliding_.emplace(window_of(options_), inputs[0]);
    if (inputs[0].dims[0] % groups_ != 0) {
      input_error("the input has " + std::to_string(inputs[0].dims[0]) + " channels",
                  "groups are " + std::to_string(groups_), "the groups must divide the channels");
    }
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    one_input(*this, inputs);
    const Sliding sliding(window_of(options_), inputs[0]);
    if (weights == nullptr || weights->weight.size() == 0) {
      input_error("a conv2d layer has no weights", "",
                  "give it a matrix [out channels x (channels / groups * taps)]");
    }
    const Matrix& w = weights->weight;
    const Index depth = sliding.channels() / groups_ * sliding.taps();
    if (w.cols() != depth) {
      input_error("conv2d weights are [" + std::to_string(w.rows()) + " x " + std::to_string(w.cols()) + "]",
                  "one output reads " + std::to_string(depth) + " values",
                  "store weights as [out channels x (channels / groups * kernel rows * kernel columns)]");
    }
    if (w.rows() % groups_ != 0) {
      input_error("a conv2d layer has " + std::to_string(w.rows()) + " output channels",
                  "groups are " + std::to_string(groups_), "the groups must divide them");
    }
    if (weights->bias.size() != 0 && weights->bias.size() != w.rows()) {
      input_error("a conv2d bias has " + std::to_string(weights->bias.size()) + " values",
                  "the layer has " + std::to_string(w.rows()) + " output channels",
                  "store one value an output channel, or no bias");
    }
    return {{w.rows(), sliding.rows(), sliding.columns()}};
  }

  void forward(Inputs in, const Weights* weights, Matrix& out) const override {
    thread_local PackedConv packed;
    packed.pack(*sliding_, groups_, *weights);
    out.resize(in[0]->rows(), weights->weight.rows() * sliding_->positions());
    packed.multiply({in[0]->data(), in[0]->cols(), nullptr}, in[0]->rows(), out.data(), out.cols());
  }

  const Sliding& sliding() const override { return *sliding_; }
  Index groups() const override { return groups_; }

  void backward(Inputs in, const Matrix&, const Weights* weights, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights* grad_weights) const override {
    if (grad_in[0] != nullptr) {
      Matrix below;
      if (input_gradient(*sliding_, groups_, weights->weight, grad_out, below)) {
        *grad_in[0] += below;
      } else {
        fold_input_gradient(weights->weight, grad_out, *grad_in[0]);
      }
    }
    if (grad_weights != nullptr) add_parameter_gradient(*in[0], grad_out, *grad_weights);
  }

  void pass_back(Inputs in, const Matrix&, const Weights* weights, Matrix& gradient,
                 Weights* grad_weights) const override {
    if (grad_weights != nullptr) add_parameter_gradient(*in[0], gradient, *grad_weights);
    Matrix below;
    if (!input_gradient(*sliding_, groups_, weights->weight, gradient, below)) {
      below = Matrix::Zero(in[0]->rows(), in[0]->cols());
      fold_input_gradient(weights->weight, gradient, below);
    }
    gradient = std::move(below);
  }

  void interval(std::span<const Interval* const> in, const Weights* weights, const Radius* radius,
                Interval& out) const override {
    const Index images = in[0]->lower.rows();
    const MatrixD weight = weights->weight.cast<double>();
    const VectorD bias = weights->bias.cast<double>();
    out.lower.resize(images, weight.rows() * sliding_->positions());
    out.upper.resize(images, out.lower.cols());
    const Index outputs = weight.rows() / groups_;
    Interval seen, result;
    for (Index group = 0; group < groups_; ++group) {
      const MatrixD group_weight = of_group(weight, group);
      VectorD group_bias;
      if (bias.size() != 0) group_bias = bias.segment(group * outputs, outputs);
      std::optional<Radius> group_radius;
      if (radius != nullptr) group_radius = radius_of(*radius, group, outputs);
      for (Index n = 0; n < images; ++n) {
        unfold(in[0]->lower, n, group, seen.lower);
        unfold(in[0]->upper, n, group, seen.upper);
        affine_interval(group_weight, group_bias, group_radius ? &*group_radius : nullptr, seen, result);
        outputs_of(out.lower, n, group) = result.lower.transpose();
        outputs_of(out.upper, n, group) = result.upper.transpose();
      }
    }
  }

  bool reach(const MatrixD& magnitude, const Weights& weights, const Radius& radius,
             MatrixD& out) const override {
    const Index outputs = weights.weight.rows() / groups_;
    out.resize(magnitude.rows(), weights.weight.rows() * sliding_->positions());
    MatrixD seen;
    for (Index group = 0; group < groups_; ++group) {
      const Radius group_radius = radius_of(radius, group, outputs);
      for (Index n = 0; n < magnitude.rows(); ++n) {
        unfold(magnitude, n, group, seen);
        outputs_of(out, n, group) = radius_reach(group_radius, outputs, seen).transpose();
      }
    }
    return true;
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights* weights, std::span<MatrixD* const> on_inputs,
            VectorD* constant) const override {
    const MatrixD weight = weights->weight.cast<double>();
    MatrixD columns;
    for (Index n = 0; n < coefficients.rows(); ++n) {
      for (Index group = 0; group < groups_; ++group) {
        const auto above = outputs_of(coefficients, n, group);
        if (on_inputs[0] != nullptr) {
          columns.noalias() = above.transpose() * of_group(weight, group);
          sliding_->fold_add(columns.data(), group * channels(), channels(),
                             on_inputs[0]->data() + n * on_inputs[0]->cols());
        }
        if (constant != nullptr && weights->bias.size() != 0) {
          (*constant)(n) += weights->bias.segment(group * above.rows(), above.rows())
                                .template cast<double>()
                                .dot(above.rowwise().sum());
        }
      }
    }
  }

  void run(std::span<const DoubleDouble* const> in, const Weights* weights,
           DoubleDouble& out) const override {
    const Index outputs = weights->weight.rows() / groups_;
    DoubleDouble seen, result;
    for (MatrixD* values : {&out.high, &out.low, &out.radius})
      values->resize(in[0]->high.rows(), weights->weight.rows() * sliding_->positions());
    for (Index group = 0; group < groups_; ++group) {
      Vector bias;
      if (weights->bias.size() != 0) bias = weights->bias.segment(group * outputs, outputs);
      const DoubleDoubleProduct product(of_group(weights->weight, group), bias);
      const MatrixD spread = product.spread(*in[0]);
      for (Index n = 0; n < in[0]->high.rows(); ++n) {
        unfold(in[0]->high, n, group, seen.high);
        unfold(in[0]->low, n, group, seen.low);
        unfold(spread, n, group, seen.radius);
        product.multiply(seen, result);
        outputs_of(out.high, n, group) = result.high.transpose();
        outputs_of(out.low, n, group) = result.low.transpose();
        outputs_of(out.radius, n, group) = result.radius.transpose();
      }
    }
  }

  double float_error() const override { return 0.0; }

 private:
  LayerOptions options_;
  Index groups_;
  std::optional<Sliding> sliding_;
};

}  // namespace

std::unique_ptr<Layer> make_conv2d(const LayerOptions& options) {
  return std::make_unique<Conv2d>(options);
}

}  // namespace temblor
