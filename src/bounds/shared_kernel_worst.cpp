#include <cmath>

#include <temblor/bounds/shared_kernel.hpp>

namespace temblor {
namespace {

/// What the limits of g do to what is taken: its derivatives by them.
struct ByLimits {
  MatrixD lower, upper;  ///< [channels x depth]
};

// With g_l, g_u the limits of g for these coefficients, the box takes R (sigma g + tau), sigma = (g_u + g_l)
// / (g_u - g_l), tau = -2 g_l g_u / (g_u - g_l) where g_l < 0 < g_u. All three depend on a: g by z, g_l and
// g_u by the ends of z that the signs of a choose.
void box(const MatrixD& radius, const MatrixD& g, const Interval& limits, MatrixD& kernel, ByLimits& by) {
  for (Index i = 0; i < radius.size(); ++i) {
    const double r = radius.data()[i];
    const double low = limits.lower.data()[i];
    const double high = limits.upper.data()[i];
    if (low >= 0 || high <= 0) {
      kernel.data()[i] -= low >= 0 ? r : -r;
      continue;
    }
    const double width = high - low;
    kernel.data()[i] -= r * (high + low) / width;
    by.lower.data()[i] += 2 * r * high * (g.data()[i] - high) / (width * width);
    by.upper.data()[i] += 2 * r * low * (low - g.data()[i]) / (width * width);
  }
}

// A ball takes radius (s / 2 + (q + sums^2) / (2 s)), q = sum (g_l + g_u) g - g_l g_u, s^2 = sum (g_l^2 +
// g_u^2) / 2 + sums^2, of these channels. Returns its derivative by each of `sums`, divided by that sum.
double ball(double radius, Index first, Index count, const MatrixD& g, const Interval& limits, double biases,
            MatrixD& kernel, ByLimits& by) {
  const auto at = g.middleRows(first, count).array();
  const auto low = limits.lower.middleRows(first, count).array();
  const auto high = limits.upper.middleRows(first, count).array();
  const double s = std::sqrt(0.5 * (low.square() + high.square()).sum() + biases);
  if (s == 0) return 0;
  const double q = ((low + high) * at - low * high).sum() + biases;
  const double r = 0.5 * radius / s;
  const double by_square = 0.5 * r * (1 - q / (s * s));
  kernel.middleRows(first, count).array() -= r * (low + high);
  by.lower.middleRows(first, count).array() += r * (at - high) + by_square * low;
  by.upper.middleRows(first, count).array() += r * (at - low) + by_square * high;
  return 2 * r + 2 * by_square;
}

}  // namespace

void SharedKernel::worst(const MatrixD& a, const MatrixD& z, const Interval& inputs,
                         const std::vector<Index>& at, MatrixD& p) const {
  const Index channels = weight_.rows() / taps_.groups;
  const bool moves = radius_.size() > 0 || l2_ > 0 || row_ > 0;
  p = MatrixD::Zero(a.rows(), a.cols());
  std::vector<Seen> limits, points;
  Row open_row, point;
  MatrixD outputs;
  for (Index row = 0; row < a.rows(); ++row) {
    open(a, row, inputs, at[static_cast<std::size_t>(row)], moves, limits, open_row);
    const Interval here{z.row(row), z.row(row)};
    points.clear();
    open(a, row, here, 0, true, points, point);
    MatrixD kernel = weight_;
    VectorD bias = bias_;
    ByLimits by{MatrixD::Zero(weight_.rows(), weight_.cols()), MatrixD::Zero(weight_.rows(), weight_.cols())};
    const MatrixD& g = point.g.lower;
    if (radius_.size() > 0) box(radius_, g, open_row.g, kernel, by);
    const VectorD squares = open_row.sums.cwiseAbs2() * (ball_biases_ ? 1.0 : 0.0);
    const double one = ball_biases_ ? 1.0 : 0.0;
    if (l2_ > 0)
      bias -= one * ball(l2_, 0, weight_.rows(), g, open_row.g, squares.sum(), kernel, by) * open_row.sums;
    for (Index c = 0; row_ > 0 && c < weight_.rows(); ++c)
      bias(c) -= one * ball(row_, c, 1, g, open_row.g, squares(c), kernel, by) * open_row.sums(c);
    if (slack_.size() > 0) bias.array() -= slack_.array() * open_row.sums.array().sign();
    const MatrixD both = by.lower + by.upper;
    const MatrixD apart = by.upper - by.lower;
    for (std::size_t group = 0; group < open_row.own.size(); ++group) {
      const auto& positions = open_row.positions[group];
      if (positions.empty()) continue;
      const Index first = static_cast<Index>(group) * channels;
      outputs.noalias() =
          kernel.middleRows(first, channels) * points[group].middle(positions, Eigen::all).transpose();
      outputs.colwise() += bias.segment(first, channels);
      if (moves) {
        const MatrixD middle = limits[group].middle(positions, Eigen::all);
        const MatrixD half = limits[group].half(positions, Eigen::all);
        outputs.noalias() -= both.middleRows(first, channels) * middle.transpose();
        outputs.array() -= open_row.own[group].array().sign() *
                           (apart.middleRows(first, channels) * half.transpose()).array();
      }
      double* to = p.data() + row * p.cols() + first * taps_.positions;
      for (Index c = 0; c < channels; ++c) {
        for (std::size_t i = 0; i < positions.size(); ++i)
          to[c * taps_.positions + positions[i]] = outputs(c, static_cast<Index>(i));
      }
    }
  }
}

}  // namespace temblor
