#pragma once

#include "options.hpp"

#include <temblor/network/double_double.hpp>

namespace temblor {

/// An element-wise function that is piecewise a polynomial. `Function` has
///   kind, monotone              name; whether it is monotone and 1-Lipschitz
///   Function(options), options()
///   value(x)                    for float and double, NaN stays NaN
///   slope(float)                derivative, 0 or one-sided at kinks
///   least(l, u), most(l, u)     over an interval, in double, rounded outward
///   run(in, out)                in double-double, where it is monotone
///   relative                    float32 error relative to the magnitude of x
template <class Function>
class PiecewiseLayer final : public Layer, public DoubleDoubleLayer {
 public:
  explicit PiecewiseLayer(const LayerOptions& options) : function_(options) {}

  std::string_view kind() const override { return Function::kind; }
  bool elementwise() const override { return Function::monotone; }
  LayerOptions options() const override { return function_.options(); }

  Shape output_shape(std::span<const Shape> inputs, const Weights*) const override {
    one_input(*this, inputs);
    return inputs[0];
  }

  void apply(float* values, Index n) const override {
    for (Index i = 0; i < n; ++i) values[i] = function_.value(values[i]);
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override {
    out = *in[0];
    apply(out.data(), out.size());
  }

  void backward(Inputs in, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] == nullptr) return;
    const float* input = in[0]->data();
    for (Index i = 0; i < grad_out.size(); ++i)
      grad_in[0]->data()[i] += function_.slope(input[i]) * grad_out.data()[i];
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    const Interval& x = *in[0];
    out.lower.resize(x.lower.rows(), x.lower.cols());
    out.upper.resize(x.lower.rows(), x.lower.cols());
    for (Index i = 0; i < x.lower.size(); ++i) {
      out.lower.data()[i] = function_.least(x.lower.data()[i], x.upper.data()[i]);
      out.upper.data()[i] = function_.most(x.lower.data()[i], x.upper.data()[i]);
    }
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    if constexpr (Function::monotone) {
      function_.run(*in[0], out);
    } else {
      const Interval box = enclosing(*in[0]);
      const Interval* from = &box;
      Interval to;
      interval({&from, 1}, nullptr, nullptr, to);
      out = double_double(to);
    }
  }

  double float_error() const override { return 0.0; }
  double float_relative() const override { return Function::relative; }

 private:
  Function function_;
};

}  // namespace temblor
