#include <cmath>

#include <temblor/bounds/shared_kernel.hpp>

namespace temblor {

// With g_l, g_u the limits of g for these coefficients, the box takes R (sigma g + tau), sigma = (g_u + g_l)
// / (g_u - g_l), tau = -2 g_l g_u / (g_u - g_l) where g_l < 0 < g_u. All three depend on a: g by z, g_l and
// g_u by the ends of z that the signs of a choose.
void SharedKernel::worst(const MatrixD& a, const MatrixD& z, const Interval& inputs,
                         const std::vector<Index>& at, MatrixD& p) const {
  const Index channels = weight_.rows() / groups_;
  const Index depth = weight_.cols();
  p = MatrixD::Zero(a.rows(), a.cols());
  std::vector<Index> positions;
  MatrixD seen, middle, half, outputs;
  for (Index row = 0; row < a.rows(); ++row) {
    const Index n = at[static_cast<std::size_t>(row)];
    for (Index group = 0; group < groups_; ++group) {
      const MatrixD own = active(a, row, group, positions);
      const auto count = static_cast<Index>(positions.size());
      if (count == 0) continue;
      const Index first = group * channels;
      const Index from = group * plane_;
      seen = middle = half = MatrixD::Zero(count, depth);
      for (Index i = 0; i < count; ++i) {
        for (Index k = 0; k < depth; ++k) {
          const std::int32_t tap =
              taps_[static_cast<std::size_t>(positions[static_cast<std::size_t>(i)] * depth + k)];
          if (tap < 0) continue;
          const double lower = inputs.lower(n, from + tap);
          const double upper = inputs.upper(n, from + tap);
          seen(i, k) = z(row, from + tap);
          middle(i, k) = 0.5 * (lower + upper);
          half(i, k) = 0.5 * (upper - lower);
        }
      }
      MatrixD kernel = weight_.middleRows(first, channels);
      outputs.resize(channels, count);
      if (radius_.size() > 0) {
        const MatrixD g = own * seen;
        const MatrixD center = own * middle;
        const MatrixD spread = own.cwiseAbs() * half;
        MatrixD both = MatrixD::Zero(channels, depth);
        MatrixD apart = both;
        for (Index i = 0; i < kernel.size(); ++i) {
          const double r = radius_.data()[first * depth + i];
          const double low = center.data()[i] - spread.data()[i];
          const double high = center.data()[i] + spread.data()[i];
          if (low >= 0 || high <= 0) {
            kernel.data()[i] -= low >= 0 ? r : -r;
            continue;
          }
          const double width = high - low;
          kernel.data()[i] -= r * (high + low) / width;
          const double by_low = 2 * r * high * (g.data()[i] - high) / (width * width);
          const double by_high = 2 * r * low * (low - g.data()[i]) / (width * width);
          both.data()[i] = by_low + by_high;
          apart.data()[i] = by_high - by_low;
        }
        outputs.noalias() = -both * middle.transpose();
        outputs.array() -= own.array().sign() * (apart * half.transpose()).array();
      } else {
        outputs.setZero();
      }
      outputs.noalias() += kernel * seen.transpose();
      outputs.colwise() += bias_.segment(first, channels);
      if (slack_.size() > 0) {
        const VectorD sums = own.rowwise().sum();
        outputs.colwise() -= (slack_.segment(first, channels).array() * sums.array().sign()).matrix();
      }
      double* to = p.data() + row * p.cols() + first * positions_;
      for (Index c = 0; c < channels; ++c) {
        for (Index i = 0; i < count; ++i)
          to[c * positions_ + positions[static_cast<std::size_t>(i)]] = outputs(c, i);
      }
    }
  }
}

}  // namespace temblor
