#include "../layer_table.hpp"
#include "smooth.hpp"

#include <cmath>

namespace temblor {
namespace {

/// tanh(x); 1-Lipschitz, range (-1, 1).
struct Tanh {
  static constexpr std::string_view kind = "tanh";
  static constexpr double low = -1;
  static constexpr double high = 1;

  template <class Lanes>
  static auto value(const Lanes& x) {
    return x.tanh();
  }
  static double value(double x) { return std::tanh(x); }
  template <class Out>
  static auto slope(const Out& out) {
    return 1.0F - out.square();
  }
};

}  // namespace

std::unique_ptr<Layer> make_tanh(const LayerOptions&) {
  return std::make_unique<SmoothLayer<Tanh>>();
}

}  // namespace temblor
