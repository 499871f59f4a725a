#include <algorithm>
#include <cmath>

#include <support/gradients.hpp>

namespace temblor::testing {

double gradient_error(const std::function<double()>& loss, float* values, const float* gradient, Index n,
                      float step) {
  double worst = 0;
  for (Index i = 0; i < n; ++i) {
    const float value = values[i];
    values[i] = value + step;
    const float up = values[i];
    const double above = loss();
    values[i] = value - step;
    const float down = values[i];
    const double below = loss();
    values[i] = value;
    const double slope = (above - below) / (static_cast<double>(up) - static_cast<double>(down));
    const double error = std::abs(slope - static_cast<double>(gradient[i])) / (1 + std::abs(slope));
    worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
  }
  return worst;
}

double subgradient_error(const std::function<double()>& loss, float* values, const float* gradient, Index n,
                         float step, Index& bends) {
  const double here = loss();
  double worst = 0;
  for (Index i = 0; i < n; ++i) {
    const float value = values[i];
    const auto slope_to = [&](float moved) {
      values[i] = moved;
      const double there = loss();
      values[i] = value;
      return (there - here) / (static_cast<double>(moved) - static_cast<double>(value));
    };
    const double right = slope_to(value + step);
    const double left = slope_to(value - step);
    const double size = 1 + std::max(std::abs(left), std::abs(right));
    if (std::abs(left - right) > 0.01 * size) ++bends;
    const double own = static_cast<double>(gradient[i]);
    const double outside = std::max(std::min(left, right) - own, own - std::max(left, right)) / size;
    worst = std::isnan(outside) ? HUGE_VAL : std::max(worst, outside);
  }
  return worst;
}

}  // namespace temblor::testing
