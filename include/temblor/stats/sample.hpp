#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace temblor {

/// Quantiles of a sample, definition 7 of Hyndman and Fan (Am. Stat. 50, 1996; the default of R and numpy):
/// with the sorted values x_0..x_{n-1} and h = (n-1) p, x_floor(h) + (h - floor(h)) (x_floor(h)+1 -
/// x_floor(h)). Infinite values sort as numbers; between a finite and an infinite neighbour the quantile is
/// infinite. Empty or NaN samples, and p outside [0, 1], are internal errors: callers count what is not a
/// number before.
std::vector<double> quantiles(std::span<const double> values, std::span<const double> p);
double quantile(std::span<const double> values, double p);

/// Count, extremes, mean and spread of numbers, updated one at a time (Welford) in the order of the calls:
/// the same order gives the same bits. Values that are not finite are counted and make mean and deviation
/// +inf (NaN included): they are never left out of a mean silently.
class Moments {
 public:
  void add(double value);
  /// Appends another sample (Chan, Golub, LeVeque 1983). Fold in index order: addition of floats is not
  /// associative.
  void add(const Moments& other);

  std::int64_t count() const { return finite_ + not_finite_; }
  std::int64_t not_finite() const { return not_finite_; }
  double least() const { return least_; }  ///< +inf when there are none; NaN counts as +inf
  double most() const { return most_; }    ///< -inf when there are none; NaN counts as +inf
  double mean() const;                     ///< NaN when there are none
  double deviation() const;                ///< sample standard deviation (n-1); NaN below two values
  double finite_mean() const;              ///< mean of the finite values alone; NaN when there are none

 private:
  std::int64_t finite_ = 0;
  std::int64_t not_finite_ = 0;
  double mean_ = 0;
  double squares_ = 0;  ///< sum of squared deviations from the mean
  double least_ = std::numeric_limits<double>::infinity();
  double most_ = -std::numeric_limits<double>::infinity();
};

}  // namespace temblor
