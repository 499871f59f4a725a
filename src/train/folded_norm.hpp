#pragma once

#include <temblor/train/batch_norm.hpp>

namespace temblor {

/// A convolution without bias and the batch-norm node behind it as one convolution, at the statistics of the
/// block at hand: w' = s w, b' = beta - s mean, s = gamma / sqrt(variance + epsilon).
class FoldedNorm {
 public:
  /// `outputs` are the convolution's outputs for the block. All must outlive the object.
  FoldedNorm(const Weights& convolution, const Weights& norm, const Matrix& outputs);

  const Weights& weights() const { return weights_; }
  /// Given the gradient by weights(), adds it by the parameters of both nodes and returns that by the
  /// convolution's outputs, from which the statistics come.
  Matrix backward(const Weights& by_folded, Weights& by_convolution, Weights& by_norm) const;

 private:
  const Weights* convolution_;
  const Weights* norm_;
  const Matrix* outputs_;
  ChannelStatistics seen_;
  VectorD inverse_;  ///< 1 / sqrt(variance + epsilon)
  Weights weights_;
};

}  // namespace temblor
