#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {

std::vector<double> quantiles(std::span<const double> values, std::span<const double> p) {
  ensure(!values.empty(), "a quantile needs at least one value");
  std::vector<double> sorted(values.begin(), values.end());
  ensure(std::none_of(sorted.begin(), sorted.end(), [](double v) { return std::isnan(v); }),
         "a quantile of values that are not numbers");
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> result;
  for (const double probability : p) {
    ensure(probability >= 0 && probability <= 1, "a quantile's probability lies in [0, 1]");
    const double h = static_cast<double>(sorted.size() - 1) * probability;
    const auto below = static_cast<std::size_t>(std::floor(h));
    const double part = h - std::floor(h);
    const double low = sorted[below];
    const double high = sorted[std::min(below + 1, sorted.size() - 1)];
    // Equal infinite neighbours would give Inf - Inf.
    result.push_back(part == 0 || low == high ? low : low + part * (high - low));
  }
  return result;
}

double quantile(std::span<const double> values, double p) {
  return quantiles(values, {&p, 1}).front();
}

void Moments::add(double value) {
  if (!std::isfinite(value)) {
    ++not_finite_;
    const double extreme = std::isnan(value) ? std::numeric_limits<double>::infinity() : value;
    least_ = std::min(least_, extreme);
    most_ = std::max(most_, extreme);
    return;
  }
  ++finite_;
  const double step = value - mean_;
  mean_ += step / static_cast<double>(finite_);
  squares_ += step * (value - mean_);
  least_ = std::min(least_, value);
  most_ = std::max(most_, value);
}

void Moments::add(const Moments& other) {
  if (other.finite_ > 0) {
    const auto a = static_cast<double>(finite_);
    const auto b = static_cast<double>(other.finite_);
    const double step = other.mean_ - mean_;
    mean_ += step * (b / (a + b));
    squares_ += other.squares_ + step * step * (a * b / (a + b));
    finite_ += other.finite_;
  }
  not_finite_ += other.not_finite_;
  least_ = std::min(least_, other.least_);
  most_ = std::max(most_, other.most_);
}

double Moments::mean() const {
  return not_finite_ > 0 ? std::numeric_limits<double>::infinity() : finite_mean();
}

double Moments::deviation() const {
  if (not_finite_ > 0) return std::numeric_limits<double>::infinity();
  if (finite_ < 2) return std::numeric_limits<double>::quiet_NaN();
  return std::sqrt(squares_ / static_cast<double>(finite_ - 1));
}

double Moments::finite_mean() const {
  return finite_ > 0 ? mean_ : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace temblor
