#pragma once

#include <temblor/network/layer.hpp>

namespace temblor {

/// A layer of one input whose backward pass can hand its gradient on without a sum: for gradients that
/// nothing has been added to yet. Layers that do so derive from it beside Layer.
class PassesBack {
 public:
  virtual ~PassesBack() = default;
  /// `gradient` is that by the output and becomes that by the input; `grad_weights` as in Layer::backward.
  virtual void pass_back(Layer::Inputs in, const Matrix& out, const Weights* weights, Matrix& gradient,
                         Weights* grad_weights) const = 0;
};

}  // namespace temblor
