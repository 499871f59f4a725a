#pragma once

#include <temblor/network/layer.hpp>

namespace temblor {

/// Least and largest outputs of a node, [images x units] each; or a loss's gradient by them.
struct Band {
  Matrix lower, upper;
};

/// A dense layer or a convolution whose weights may move by eps each (its bias stays), in float32 without
/// care for rounding: the interval of theory, section 3, from products with the network's own layer. With m
/// and h middle and half width of inputs that are not negative, and S the sums of what each output reads,
///   upper = W m + b + eps S(m) + abs(W + eps) h,   lower = W m + b - eps S(m) - abs(W - eps) h.
class WeightBox {
 public:
  /// Both must outlive the box.
  WeightBox(const Layer& layer, const Weights& weights, double eps);

  Band enclose(const Band& inputs) const;
  /// The same for inputs that are known, of any sign, given the outputs for the weights as they are.
  Band enclose(const Matrix& inputs, const Matrix& outputs) const;
  /// Adds the gradient by the bounds of the inputs and by the parameters, given that by the bounds of the
  /// outputs. `by_inputs` is sized.
  void backward(const Band& inputs, const Band& by_outputs, Band& by_inputs, Weights& by_weights) const;

 private:
  Matrix sums(const Matrix& inputs) const;

  const Layer* layer_;
  const Weights* weights_;
  float eps_;
  Index outputs_;    ///< channels, or units
  Weights ones_;     ///< one output a group
  Weights raised_;   ///< abs(W + eps)
  Weights lowered_;  ///< abs(W - eps)
};

}  // namespace temblor
