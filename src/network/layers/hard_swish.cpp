#include "../layer_table.hpp"
#include "piecewise.hpp"

#include <algorithm>
#include <cmath>

namespace temblor {
namespace {

/// z = p min(max(p / 6 + 1/2, 0), 1): falls to -3/8 at p = -3/2, rises from there.
class HardSwish {
 public:
  static constexpr std::string_view kind = "hard-swish";
  static constexpr bool monotone = false;
  static constexpr double relative = 0x1p-22;

  explicit HardSwish(const LayerOptions&) {}
  LayerOptions options() const { return {}; }

  template <class T>
  T value(T x) const {
    if (x >= T(3)) return x;
    return x <= T(-3) ? T(0) : x * (x / T(6) + T(0.5));
  }
  float slope(float x) const {
    if (x >= 3.0F) return 1.0F;
    return x <= -3.0F ? 0.0F : x / 3.0F + 0.5F;
  }
  double least(double l, double u) const {
    if (l <= lowest && u >= lowest) return -0.375;
    return outward(u < lowest ? u : l, -1);
  }
  double most(double l, double u) const { return std::max(outward(l, 1), outward(u, 1)); }

 private:
  static constexpr double lowest = -1.5;
  double outward(double x, double side) const {
    return value(x) + side * (std::abs(x) < 3 ? 8 * 0x1p-52 * std::abs(x) : 0);
  }
};

}  // namespace

std::unique_ptr<Layer> make_hard_swish(const LayerOptions& options) {
  return std::make_unique<PiecewiseLayer<HardSwish>>(options);
}

}  // namespace temblor
