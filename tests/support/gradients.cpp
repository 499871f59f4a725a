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

}  // namespace temblor::testing
