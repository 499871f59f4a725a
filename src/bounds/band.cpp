#include <algorithm>
#include <cmath>

#include <temblor/bounds/graph_backward.hpp>
#include <temblor/network/window.hpp>

namespace temblor {
namespace {

constexpr double ulp = 0x1p-52;

/// A piecewise linear, monotone function of slopes between 0 and 1.
class Activation {
 public:
  explicit Activation(const Layer& layer) {
    const auto options = layer.options();
    if (layer.kind() == "clip") {
      low_ = options.at("low").front();
      high_ = options.at("high").front();
      clips_ = true;
    } else if (layer.kind() == "leaky-relu") {
      slope_ = options.at("slope").front();
    }
  }

  void draw(double l, double u, Index i, Band& band) const {
    double below = 0;
    double above = 0;
    if (clips_) {
      choose_clip(l, u, below, above);
    } else if (l >= 0) {
      below = above = 1;
    } else if (u <= 0) {
      below = above = slope_;
    } else {
      below = u >= -l ? 1 : slope_;
      above = std::min(1.0, (u - slope_ * l) / (u - l));
    }
    band.below.data()[i] = below;
    band.above.data()[i] = above;
    // f(t) - slope t is extreme at an end or at a kink: any slope has offsets that enclose.
    double least = l, most = u;
    bool any = false;
    const auto at = [&](double t) {
      if (t < l || t > u) return;
      const double value = this->value(t);
      const double low = value - below * t - 4 * ulp * rounds(below) * (std::abs(value) + std::abs(t));
      const double high = value - above * t + 4 * ulp * rounds(above) * (std::abs(value) + std::abs(t));
      least = any ? std::min(least, low) : low;
      most = any ? std::max(most, high) : high;
      any = true;
    };
    at(l);
    at(u);
    if (clips_) {
      at(low_);
      at(high_);
    } else {
      at(0);
    }
    band.below_offset.data()[i] = least;
    band.above_offset.data()[i] = most;
  }

 private:
  double value(double t) const { return clips_ ? std::clamp(t, low_, high_) : t < 0 ? slope_ * t : t; }
  /// Whether value(t) - slope t may be off: relu with slopes 0 and 1 is exact.
  double rounds(double slope) const {
    if (clips_) return slope == 0 ? 0 : 1;
    return slope_ == 0 && (slope == 0 || slope == 1) ? 0 : 1;
  }
  void choose_clip(double l, double u, double& below, double& above) const {
    if (u <= low_ || l >= high_) return;
    if (l >= low_ && u <= high_) {
      below = above = 1;
    } else if (l >= low_) {
      below = (high_ - l) / (u - l);
      above = high_ - l >= u - high_ ? 1 : 0;
    } else if (u <= high_) {
      below = u - low_ >= low_ - l ? 1 : 0;
      above = (u - low_) / (u - l);
    } else {
      below = (high_ - low_) / (u - low_);
      above = (high_ - low_) / (high_ - l);
    }
  }

  double slope_ = 0;
  double low_ = 0;
  double high_ = 0;
  bool clips_ = false;
};

/// Cells of each output's window that lie within the image.
std::vector<std::vector<Index>> pool_cells(const Layer& layer, const Shape& input) {
  const auto options = layer.options();
  Window window;
  const auto take = [&](const char* name, auto& to) {
    const auto found = options.find(name);
    if (found == options.end()) return;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<Index>(found->second.at(i));
  };
  take("kernel", window.kernel);
  take("stride", window.stride);
  take("dilation", window.dilation);
  take("padding", window.padding);
  const Sliding sliding(window, input);
  std::vector<std::vector<Index>> cells;
  for (Index c = 0; c < sliding.channels(); ++c) {
    for (Index p = 0; p < sliding.positions(); ++p) {
      auto& own = cells.emplace_back();
      for (Index t = 0; t < sliding.taps(); ++t) {
        const Index y = sliding.image_row(p / sliding.columns(), t / window.kernel[1]);
        const Index x = sliding.image_column(p % sliding.columns(), t % window.kernel[1]);
        if (y < 0 || y >= sliding.height() || x < 0 || x >= sliding.width()) continue;
        own.push_back((c * sliding.height() + y) * sliding.width() + x);
      }
    }
  }
  return cells;
}

Band empty_band(Index images, Index units) {
  Band band;
  band.below = MatrixD::Zero(images, units);
  band.below_offset = band.above = band.above_offset = band.below;
  return band;
}

Band pool_band(const Layer& layer, const Shape& input, const Interval& limits) {
  const auto cells = pool_cells(layer, input);
  const auto units = static_cast<Index>(cells.size());
  Band band = empty_band(limits.lower.rows(), units);
  band.below.setOnes();
  for (Index n = 0; n < limits.lower.rows(); ++n) {
    for (Index i = 0; i < units; ++i) {
      const auto& own = cells[static_cast<std::size_t>(i)];
      Index best = own.front();
      for (const Index cell : own) {
        if (limits.lower(n, cell) + limits.upper(n, cell) > limits.lower(n, best) + limits.upper(n, best))
          best = cell;
      }
      band.cell.push_back(best);
      const double l = limits.lower(n, best);
      const double u = limits.upper(n, best);
      double rest = l;
      for (const Index cell : own)
        if (cell != best) rest = std::max(rest, limits.upper(n, cell));
      const double top = std::max(u, rest);
      if (rest <= l) {
        band.above(n, i) = 1;
        continue;
      }
      const double slope = u > l ? std::min(1.0, (top - rest) / (u - l)) : 0.0;
      band.above(n, i) = slope;
      // max(p, rest) - slope p is convex in p: largest at an end.
      const double at_low = rest - slope * l + 4 * ulp * (std::abs(rest) + std::abs(l));
      const double at_high = top - slope * u + 4 * ulp * (std::abs(top) + std::abs(u));
      band.above_offset(n, i) = std::max(at_low, at_high);
    }
  }
  return band;
}

}  // namespace

bool has_band(const Layer& layer) {
  const auto kind = layer.kind();
  return kind == "relu" || kind == "leaky-relu" || kind == "clip" || kind == "max-pool";
}

std::vector<double> kinks_of(const Layer& layer) {
  if (layer.kind() == "relu" || layer.kind() == "leaky-relu") return {0.0};
  if (layer.kind() != "clip") return {};
  const auto options = layer.options();
  return {options.at("low").front(), options.at("high").front()};
}

FreeBand free_band(const Layer& layer, const Interval& limits, Index n) {
  FreeBand band;
  if (kinks_of(layer).empty()) return band;
  const Index units = limits.lower.cols();
  const auto options = layer.options();
  const auto none = [&](FreeLines& lines, double pivot) {
    lines.least = lines.most = Eigen::RowVectorXd::Zero(units);
    lines.pivot = lines.value = pivot;
  };
  if (layer.kind() != "clip") {
    const double slope = layer.kind() == "relu" ? 0 : options.at("slope").front();
    none(band.below, 0);
    for (Index i = 0; i < units; ++i) {
      if (!(limits.lower(n, i) < 0 && limits.upper(n, i) > 0)) continue;
      band.below.least(i) = slope;
      band.below.most(i) = 1;
    }
    return band;
  }
  const double low = options.at("low").front();
  const double high = options.at("high").front();
  none(band.below, low);
  none(band.above, high);
  for (Index i = 0; i < units; ++i) {
    const double l = limits.lower(n, i);
    const double u = limits.upper(n, i);
    // Steeper, and the line would cut the other kink off.
    if (l < low && u > low) band.below.most(i) = std::min(1.0, (high - low) / (u - low) * (1 - 8 * ulp));
    if (l < high && u > high) band.above.most(i) = std::min(1.0, (high - low) / (high - l) * (1 - 8 * ulp));
  }
  return band;
}

Band enclosing_band(const Layer& layer, const Shape& input, const Interval& limits) {
  if (layer.kind() == "max-pool") return pool_band(layer, input, limits);
  Band band = empty_band(limits.lower.rows(), limits.lower.cols());
  const Activation activation(layer);
  for (Index i = 0; i < limits.lower.size(); ++i)
    activation.draw(limits.lower.data()[i], limits.upper.data()[i], i, band);
  return band;
}

}  // namespace temblor
