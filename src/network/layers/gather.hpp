#pragma once

#include "options.hpp"

#include <cstdint>
#include <utility>

#include <temblor/network/double_double.hpp>

namespace temblor {

/// Where each output of a layer comes from: an index into the input, of far fewer than 2^31 values (Network),
/// or -1 for the constant.
struct GatherPlan {
  Shape shape;
  std::vector<std::int32_t> source;
};

/// A layer whose outputs are inputs in another order, some of them left out, or a constant.
class Gather final : public Layer, public DoubleDoubleLayer {
 public:
  using Plan = GatherPlan (*)(const LayerOptions& options, const Shape& input);

  Gather(std::string_view kind, const LayerOptions& options, Plan plan, float constant = 0.0F)
      : kind_(kind), options_(options), plan_(plan), constant_(constant) {}

  std::string_view kind() const override { return kind_; }
  LayerOptions options() const override { return options_; }

  std::shared_ptr<const Layer> placed(std::span<const Shape> inputs) const override {
    one_input(*this, inputs);
    auto layer = std::make_shared<Gather>(*this);
    layer->input_ = inputs[0];
    layer->made_ = plan_(options_, inputs[0]);
    return layer;
  }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    return inputs[0] == input_ ? made_.shape : plan_(options_, inputs[0]).shape;
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override { move(*in[0], constant_, out); }

  void backward(Inputs, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] != nullptr) add_back(grad_out, *grad_in[0]);
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    move(in[0]->lower, static_cast<double>(constant_), out.lower);
    move(in[0]->upper, static_cast<double>(constant_), out.upper);
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights*, std::span<MatrixD* const> on_inputs,
            VectorD* constant) const override {
    if (on_inputs[0] != nullptr) add_back(coefficients, *on_inputs[0]);
    if (constant == nullptr || constant_ == 0.0F) return;
    for (std::size_t i = 0; i < made_.source.size(); ++i) {
      if (made_.source[i] < 0)
        *constant += static_cast<double>(constant_) * coefficients.col(static_cast<Index>(i));
    }
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    move(in[0]->high, static_cast<double>(constant_), out.high);
    move(in[0]->low, 0.0, out.low);
    move(in[0]->radius, 0.0, out.radius);
  }

  double float_error() const override { return 0.0; }

 private:
  template <class Values, class Scalar>
  void move(const Values& in, Scalar constant, Values& out) const {
    out.resize(in.rows(), static_cast<Index>(made_.source.size()));
    auto* to = out.data();
    for (Index n = 0; n < in.rows(); ++n) {
      const auto* from = in.data() + n * in.cols();
      for (const std::int32_t source : made_.source) *to++ = source < 0 ? constant : from[source];
    }
  }

  template <class Values>
  void add_back(const Values& above, Values& below) const {
    const auto* from = above.data();
    for (Index n = 0; n < above.rows(); ++n) {
      auto* to = below.data() + n * below.cols();
      for (const std::int32_t source : made_.source) {
        if (source >= 0) to[source] += *from;
        ++from;
      }
    }
  }

  std::string_view kind_;
  LayerOptions options_;
  Plan plan_;
  float constant_;
  Shape input_{};      ///< that it is placed on
  GatherPlan made_{};  ///< for it
};

/// Calls visit(indices) for every place of a shape, the last dimension fastest.
template <class Visit>
void each_place(const std::vector<Index>& dims, const Visit& visit) {
  std::vector<Index> at(dims.size(), 0);
  for (;;) {
    visit(at);
    std::size_t d = dims.size();
    while (d > 0 && ++at[d - 1] == dims[d - 1]) at[--d] = 0;
    if (d == 0) return;
  }
}

/// One value a dimension, or a bad-input error naming the option.
inline std::vector<Index> per_dimension(const LayerOptions& options, const std::string& name,
                                        const Shape& input) {
  const auto values = wholes(options, name);
  if (values.size() != input.dims.size()) {
    input_error("option '" + name + "' has " + std::to_string(values.size()) + " values",
                "the input is " + input.text(), "give one a dimension");
  }
  return values;
}

}  // namespace temblor
