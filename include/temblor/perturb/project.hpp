#pragma once

#include <cmath>

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

}  // namespace temblor
