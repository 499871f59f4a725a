#include "folded_norm.hpp"

namespace temblor {

FoldedNorm::FoldedNorm(const Weights& convolution, const Weights& norm, const Matrix& outputs)
    : convolution_(&convolution),
      norm_(&norm),
      outputs_(&outputs),
      seen_(channel_statistics(outputs, norm.weight.rows())),
      inverse_((seen_.variance.array() + Normalised::epsilon).rsqrt()) {
  const VectorD scale = norm.weight.col(0).cast<double>().cwiseProduct(inverse_);
  weights_.weight = (scale.asDiagonal() * convolution.weight.cast<double>()).cast<float>();
  weights_.bias = (norm.bias.cast<double>() - scale.cwiseProduct(seen_.mean)).cast<float>();
}

Matrix FoldedNorm::backward(const Weights& by_folded, Weights& by_convolution, Weights& by_norm) const {
  const Index channels = norm_->weight.rows();
  const Index plane = outputs_->cols() / channels;
  const auto count = static_cast<double>(outputs_->rows() * plane);
  by_norm.bias += by_folded.bias;
  Matrix by_outputs(outputs_->rows(), outputs_->cols());
  for (Index c = 0; c < channels; ++c) {
    const double scale = static_cast<double>(norm_->weight(c, 0)) * inverse_(c);
    const auto by_bias = static_cast<double>(by_folded.bias(c));
    by_convolution.weight.row(c) += static_cast<float>(scale) * by_folded.weight.row(c);
    const double by_scale =
        by_folded.weight.row(c).cast<double>().dot(convolution_->weight.row(c).cast<double>()) -
        seen_.mean(c) * by_bias;
    by_norm.weight(c, 0) += static_cast<float>(by_scale * inverse_(c));
    // Mean and variance are those of the outputs: dm/dx = 1 / count, dv/dx = 2 (x - m) / count.
    const auto by_mean = static_cast<float>(-scale * by_bias / count);
    const auto by_variance = static_cast<float>(-scale * by_scale * inverse_(c) * inverse_(c) / count);
    const auto mean = static_cast<float>(seen_.mean(c));
    for (Index n = 0; n < outputs_->rows(); ++n) {
      by_outputs.row(n).segment(c * plane, plane).array() =
          (outputs_->row(n).segment(c * plane, plane).array() - mean) * by_variance + by_mean;
    }
  }
  return by_outputs;
}

}  // namespace temblor
