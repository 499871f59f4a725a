#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>

namespace temblor {

/// A smooth element-wise activation. `Function` has
///   kind, low, high         name, and the open range of the function
///   value(lanes)            eight floats at once
///   value(double)           to within 4 ulp
///   slope(out)              derivative, from the output
template <class Function>
class SmoothLayer final : public Layer {
 public:
  std::string_view kind() const override { return Function::kind; }
  bool elementwise() const override { return true; }

  Shape output_shape(std::span<const Shape> inputs, const Weights* weights) const override {
    if (inputs.size() != 1 || weights != nullptr) {
      input_error(std::string(kind()) + " layer", "it takes one input and no weights",
                  "correct the network file");
    }
    return inputs[0];
  }

  void apply(float* values, Index n) const override {
    // Always eight at a time, a short tail padded: the value of an element must not depend on its place in
    // the batch.
    Lanes lanes;
    for (Index i = 0; i < n; i += lane_count) {
      const Index used = std::min(lane_count, n - i);
      if (used < lane_count) lanes.setZero();
      std::copy_n(values + i, used, lanes.data());
      const Lanes result = (lanes == lanes).select(Function::value(lanes), lanes);
      std::copy_n(result.data(), used, values + i);
    }
  }

  void forward(Inputs in, const Weights*, Matrix& out) const override {
    out = *in[0];
    apply(out.data(), out.size());
  }

  void backward(Inputs, const Matrix& out, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] == nullptr) return;
    grad_in[0]->array() += grad_out.array() * Function::slope(out.array());
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    // A bound that is not a number says nothing: the range of the function is what is left.
    out.lower = in[0]->lower.unaryExpr([](double x) {
      const double y = Function::value(x);
      return std::isnan(y) ? Function::low : std::clamp(y - slack(y), Function::low, Function::high);
    });
    out.upper = in[0]->upper.unaryExpr([](double x) {
      const double y = Function::value(x);
      return std::isnan(y) ? Function::high : std::clamp(y + slack(y), Function::low, Function::high);
    });
  }

  /// Eight units in the last place of 1, and as many for the rounding of the reference they were measured
  /// against.
  double float_error() const override { return 16 * 0x1p-24; }

 private:
  static constexpr Index lane_count = 8;
  using Lanes = Eigen::Array<float, lane_count, 1>;

  /// Covers the error of Function::value(double), underflow included.
  static double slack(double y) {
    return 8 * std::numeric_limits<double>::epsilon() * std::abs(y) +
           8 * std::numeric_limits<double>::denorm_min();
  }
};

}  // namespace temblor
