#pragma once

#include <temblor/train/loss.hpp>

namespace temblor {

/// -log softmax(logits)[label]: the loss itself, and what losses that move the weights take at the moved
/// ones.
class CrossEntropy : public Loss {
 public:
  LossSum add_gradients(const Network& network, const WeightView& weights, const Block& block, double share,
                        Activations& scratch, std::span<Weights* const> gradients) const override;
};

}  // namespace temblor
