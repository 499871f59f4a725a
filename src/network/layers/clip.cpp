#include "../layer_table.hpp"
#include "piecewise.hpp"

#include <algorithm>

namespace temblor {
namespace {

/// z = min(max(p, low), high).
class Clip {
 public:
  static constexpr std::string_view kind = "clip";
  static constexpr bool monotone = true;
  static constexpr double relative = 0;

  explicit Clip(const LayerOptions& options)
      : low_(static_cast<float>(options.at("low").front())),
        high_(static_cast<float>(options.at("high").front())) {
    if (!(low_ < high_))
      input_error("a clip layer's limits are " + std::to_string(low_) + " and " + std::to_string(high_),
                  "the lower is not below the upper", "correct them");
  }
  LayerOptions options() const { return {{"low", {low_}}, {"high", {high_}}}; }

  template <class T>
  T value(T x) const {
    x = x < static_cast<T>(low_) ? static_cast<T>(low_) : x;
    return x > static_cast<T>(high_) ? static_cast<T>(high_) : x;
  }
  float slope(float x) const { return x > low_ && x < high_ ? 1.0F : 0.0F; }
  void run(const DoubleDouble& in, DoubleDouble& out) const { bend(in, 1, low_, high_, out); }
  double least(double l, double) const { return value(l); }
  double most(double, double u) const { return value(u); }

 private:
  float low_;
  float high_;
};

}  // namespace

std::unique_ptr<Layer> make_clip(const LayerOptions& options) {
  return std::make_unique<PiecewiseLayer<Clip>>(options);
}

}  // namespace temblor
