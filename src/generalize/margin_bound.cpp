#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/generalize/margin_bound.hpp>

namespace temblor {
namespace {

constexpr double kUp = 1 + 0x1p-44;   // what a few dozen roundings may have taken away
constexpr double kSteps = 16;         // grid steps in a factor of two
constexpr double kLeast = 0x1p-1000;  // nothing that small is told from 0 by a power

struct GridValue {
  double value;
  double cost;
};

GridValue round_up(double x) {
  if (x == 0) return {0, std::log(4.0)};
  if (!std::isfinite(x)) return {std::numeric_limits<double>::infinity(), 0};
  double k = std::ceil(kSteps * std::log2(std::max(x, kLeast)));
  while (std::exp2(k / kSteps) / kUp < x) ++k;
  const double size = std::abs(k);
  return {std::exp2(k / kSteps) * kUp, std::log(2 * (size + 1) * (size + 2))};
}

}  // namespace

double drop_slope(const std::vector<LayerNorms>& norms, const std::vector<double>& eps) {
  ensure(norms.size() == eps.size() && !norms.empty(), "one eps a layer");
  double zeta = 1;
  double change = 0;
  for (std::size_t m = 0; m + 1 < norms.size(); ++m) {
    change = (norms[m].row * change + eps[m] * zeta) * kUp;
    zeta *= (norms[m].column + static_cast<double>(norms[m].readers) * eps[m]) * kUp;
  }
  return 2 * (norms.back().row * change + eps.back() * zeta) * kUp;
}

double complexity_term(const std::vector<LayerNorms>& norms, const DataNorms& data, double gamma) {
  ensure(gamma > 0 && data.images >= 2, "a margin and two images");
  Index width = 0;
  double sum = 0;
  for (std::size_t m = 0; m < norms.size(); ++m) {
    width = std::max({width, norms[m].inputs, norms[m].outputs});
    // prod_m s_m (sum_m (b_m / s_m)^{2/3})^{3/2} without a quotient: layers of zeros are layers, too.
    double product = norms[m].two_one;
    for (std::size_t k = 0; k < norms.size(); ++k) {
      if (k != m) product *= norms[k].spectral;
    }
    sum += std::cbrt(product * product);
  }
  const auto n = static_cast<double>(data.images);
  const double cover = std::sqrt(std::log(2.0 * static_cast<double>(width) * static_cast<double>(width)));
  return 72 * std::log(n) / (gamma * n) * data.frobenius * cover * sum * std::sqrt(sum) * kUp;
}

GridClass grid_class(const std::vector<LayerNorms>& norms, double slope) {
  GridClass result{norms, 0, 0};
  const auto take = [&](double value) {
    const auto rounded = round_up(value);
    result.cost += rounded.cost;
    return rounded.value;
  };
  for (auto& layer : result.norms) {
    layer.spectral = take(layer.spectral);
    layer.two_one = take(layer.two_one);
  }
  result.slope = take(slope);
  return result;
}

double share_within(const VectorD& margins, const VectorD& drops, double gamma) {
  ensure(margins.size() == drops.size() && margins.size() > 0, "one drop a margin");
  Index within = 0;
  for (Index n = 0; n < margins.size(); ++n) {
    if (!(margins(n) > (gamma + drops(n)) * kUp)) ++within;
  }
  return static_cast<double>(within) / static_cast<double>(margins.size());
}

VectorD least_margins(const MatrixD& pair, const MatrixD& value, const std::vector<std::int32_t>& labels) {
  VectorD least = VectorD::Constant(pair.rows(), std::numeric_limits<double>::infinity());
  for (Index n = 0; n < pair.rows(); ++n) {
    for (Index j = 0; j < pair.cols(); ++j) {
      if (j == labels[static_cast<std::size_t>(n)]) continue;
      const double drop = value.size() > 0 ? value(n, j) : 0.0;
      double margin = pair(n, j) - drop;
      margin -= 0x1p-52 * std::abs(margin);
      // A NaN must not hide behind a number.
      least(n) = margin < least(n) || std::isnan(margin) ? margin : least(n);
      if (std::isnan(margin)) break;
    }
  }
  return least;
}

MarginBound margin_bound(const VectorD& margins, const VectorD& drops, const std::vector<LayerNorms>& norms,
                         const DataNorms& data, double gamma, double delta, double cost) {
  ensure(delta > 0 && delta < 1, "delta is a probability");
  const auto n = static_cast<double>(data.images);
  return {share_within(margins, drops, gamma), 8 / std::pow(n, 1.5), complexity_term(norms, data, gamma),
          3 * std::sqrt((std::log(2 / delta) + cost) / (2 * n))};
}

}  // namespace temblor
