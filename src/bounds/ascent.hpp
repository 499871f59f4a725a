#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include <temblor/bounds/slopes.hpp>

namespace temblor {

/// Slopes of one hidden layer, or their places between the least and the most, in [0, 1], and the moments of
/// their gradients, [rows x units] each.
struct Moments {
  MatrixD open;  ///< 1 where the slope is free, else 0
  MatrixD mean;
  MatrixD square;

  explicit Moments(MatrixD free)
      : open(std::move(free)), mean(MatrixD::Zero(open.rows(), open.cols())), square(mean) {}

  void step(const MatrixD& gradient, double rate, int count, MatrixD& slope) {
    const double first = 1 / (1 - std::pow(0.9, count));
    const double second = 1 / (1 - std::pow(0.999, count));
    for (Index row = 0; row < slope.rows(); ++row) {
      const auto g = gradient.row(row).array() * open.row(row).array();
      mean.row(row).array() += 0.1 * (g - mean.row(row).array());
      square.row(row).array() += 0.001 * (g.square() - square.row(row).array());
      auto s = slope.row(row).array();
      const auto moved =
          s + rate * first * mean.row(row).array() / ((second * square.row(row).array()).sqrt() + 1e-300);
      s = (open.row(row).array() > 0).select(moved.max(0.0).min(1.0), s);
    }
  }
};

/// The best value of each row over search.steps choices: `value()` are the limits [rows] that the present
/// choice gives, `climb(rate, step)` moves it up, step 1, 2, ...
template <class Value, class Climb>
VectorD ascend(Index rows, const SlopeSearch& search, const Value& value, const Climb& climb) {
  VectorD best = VectorD::Constant(rows, -std::numeric_limits<double>::infinity());
  const double fall = search.steps > 1 ? std::pow(0.01, 1.0 / (search.steps - 1)) : 1;
  double rate = 1;
  for (int step = 1;; ++step) {
    const VectorD low = value();
    for (Index row = 0; row < rows; ++row) best(row) = std::max(best(row), low(row));
    if (step == search.steps) return best;
    climb(rate, step);
    rate *= fall;
  }
}

}  // namespace temblor
