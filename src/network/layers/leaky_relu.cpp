#include "../layer_table.hpp"
#include "piecewise.hpp"

#include <cmath>
#include <limits>

namespace temblor {
namespace {

/// z = p where p > 0, slope p elsewhere.
class LeakyRelu {
 public:
  static constexpr std::string_view kind = "leaky-relu";
  static constexpr bool monotone = true;
  static constexpr double relative = 0x1p-24;

  explicit LeakyRelu(const LayerOptions& options) : slope_(static_cast<float>(options.at("slope").front())) {
    if (!(slope_ >= 0.0F && slope_ <= 1.0F))
      input_error("the slope of a leaky-relu layer is " + std::to_string(slope_), "not from 0 to 1",
                  "bounds and attacks need a monotone, 1-Lipschitz activation: use another slope");
  }
  LayerOptions options() const { return {{"slope", {slope_}}}; }

  template <class T>
  T value(T x) const {
    return x < T(0) ? static_cast<T>(slope_) * x : x;
  }
  float slope(float x) const { return x > 0.0F ? 1.0F : slope_; }
  void run(const DoubleDouble& in, DoubleDouble& out) const {
    constexpr double any = std::numeric_limits<double>::infinity();
    bend(in, slope_, -any, any, out);
  }
  double least(double l, double) const { return outward(l, -1); }
  double most(double, double u) const { return outward(u, 1); }

 private:
  double outward(double x, double side) const {
    const double y = value(x);
    return x < 0 ? y + side * (std::abs(y) * 0x1p-52 + std::numeric_limits<double>::denorm_min()) : y;
  }

  float slope_;
};

}  // namespace

std::unique_ptr<Layer> make_leaky_relu(const LayerOptions& options) {
  return std::make_unique<PiecewiseLayer<LeakyRelu>>(options);
}

}  // namespace temblor
