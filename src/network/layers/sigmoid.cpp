#include "../layer_table.hpp"
#include "smooth.hpp"

#include <cmath>

namespace temblor {
namespace {

/// 1 / (1 + exp(-x)); 1/4-Lipschitz, range (0, 1).
struct Sigmoid {
  static constexpr std::string_view kind = "sigmoid";
  static constexpr double low = 0;
  static constexpr double high = 1;

  template <class Lanes>
  static auto value(const Lanes& x) {
    return (1.0F + (-x).exp()).inverse();
  }
  static double value(double x) {
    const double e = std::exp(-std::abs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
  }
  template <class Out>
  static auto slope(const Out& out) {
    return out * (1.0F - out);
  }
};

}  // namespace

std::unique_ptr<Layer> make_sigmoid(const LayerOptions&) {
  return std::make_unique<SmoothLayer<Sigmoid>>();
}

}  // namespace temblor
