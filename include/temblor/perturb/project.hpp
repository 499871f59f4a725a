#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace temblor {

/// Whether abs(after - before) <= radius in exact arithmetic (error-free subtraction, Knuth's two-sum).
inline bool within(float before, float after, double radius) {
  const double a = after;
  const double b = -static_cast<double>(before);
  const double sum = a + b;
  const double part = sum - a;
  const double error = (a - (sum - part)) + (b - part);
  const double size = std::fabs(sum);
  return size < radius || (size == radius && !((sum > 0 && error > 0) || (sum < 0 && error < 0)));
}

/// The float nearest to base + delta that stays in the box: abs(result - base) <= radius in exact arithmetic.
/// Where rounding leaves the box, the next float toward the base is taken. delta in [-radius, radius], radius
/// >= 0.
inline float moved(float base, double delta, double radius) {
  float after = static_cast<float>(static_cast<double>(base) + delta);
  while (!within(base, after, radius)) after = std::nextafter(after, base);
  return after;
}

/// moved(base[i], delta[i], radius[i]) for i < n, the same floats, without branches: rounding leaves a box by
/// less than one float, so that one step toward the base is enough. base + delta finite; after must not
/// overlap the inputs.
inline void move_many(const float* __restrict base, const double* __restrict delta,
                      const double* __restrict radius, std::ptrdiff_t n, float* __restrict after) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const double b = static_cast<double>(base[i]);
    const float nearest = static_cast<float>(b + delta[i]);
    const double a = static_cast<double>(nearest);
    const double sum = a - b;
    const double part = sum - a;
    const double error = (a - (sum - part)) - (b + part);
    const double excess = std::fabs(sum) - radius[i];
    const double beyond = sum < 0 ? -error : error;
    const bool out = (excess > 0) | ((excess == 0) & (beyond > 0));
    const std::int32_t bits = std::bit_cast<std::int32_t>(nearest);
    const std::int32_t step = (sum > 0) == (nearest > 0) ? -1 : 1;
    const std::int32_t from_zero = sum > 0 ? std::bit_cast<std::int32_t>(0x80000001U) : 1;
    const std::int32_t toward = nearest == 0 ? from_zero : bits + step;
    after[i] = std::bit_cast<float>(out ? toward : bits);
  }
}

}  // namespace temblor
