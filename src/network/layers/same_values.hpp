#pragma once

#include "options.hpp"

#include <temblor/network/double_double.hpp>

namespace temblor {

/// A layer that gives its input another shape: the values stay as they are.
class SameValues : public Layer, public DoubleDoubleLayer {
 public:
  bool reshapes() const override { return true; }

  void forward(Inputs in, const Weights*, Matrix& out) const override { out = *in[0]; }

  void backward(Inputs, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] != nullptr) *grad_in[0] += grad_out;
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    out = *in[0];
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights*, std::span<MatrixD* const> on_inputs,
            VectorD*) const override {
    if (on_inputs[0] != nullptr) *on_inputs[0] += coefficients;
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    out = *in[0];
  }

  double float_error() const override { return 0.0; }
};

}  // namespace temblor
