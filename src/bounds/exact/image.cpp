#include "image.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/network/affine_interval.hpp>

namespace temblor::exact {
namespace {

constexpr double ulp = 0x1p-52;
/// A side of 0 that is a smaller share of a value's range than this has no number of its own.
constexpr double least_share = 1e-9;

bool crosses(double l, double u) {
  return l < 0 && u > 0;
}

/// A line over |x|, x in [l, u]: |x| <= slope x + constant, an equality where x keeps its sign.
struct Line {
  double slope, constant;
};

Line line_over_size(double l, double u) {
  if (l >= 0) return {1, 0};
  if (u <= 0) return {-1, 0};
  const double slope = std::clamp((u + l) / (u - l), -1.0, 1.0);
  // Above |x| at both ends, whatever rounding did to the slope.
  const double constant = std::max(u - slope * u, -l - slope * l);
  return {slope, above(constant, u - l)};
}

}  // namespace

Ends inner_ends(const Dataset& data, Index n, double radius) {
  const VectorD image = data.images.row(n).transpose().cast<double>();
  Ends ends{image, image};
  const auto reach = (radius - ulp * (image.array().abs() + radius)).max(0.0);
  ends.least.array() -= reach;
  ends.most.array() += reach;
  if (data.least.size() == 0) return ends;
  ends.least = ends.least.cwiseMax(data.least.cast<double>());
  ends.most = ends.most.cwiseMin(data.most.cast<double>());
  return ends;
}

ImageBase image_base(const Ends& box, const std::vector<char>& kinks) {
  ImageBase base;
  const Index values = box.least.size();
  base.offset = box.least;
  for (Index j = 0; j < values; ++j) {
    const double l = box.least(j);
    const double u = box.most(j);
    if (!crosses(l, u) || kinks[static_cast<std::size_t>(j)] == 0) continue;
    if (std::min(-l, u) < least_share * (u - l)) continue;
    base.split.push_back(j);
    base.offset(j) = 0;
  }
  const Index all = values + static_cast<Index>(base.split.size());
  base.limits = {VectorD::Zero(all), VectorD::Zero(all)};
  for (Index j = 0; j < values; ++j) {
    const double width = box.most(j) - box.least(j);
    base.limits.upper(j) = width > 0 ? above(width, 0) : 0;
  }
  for (std::size_t k = 0; k < base.split.size(); ++k) {
    base.limits.upper(base.split[k]) = box.most(base.split[k]);
    base.limits.upper(values + static_cast<Index>(k)) = -box.least(base.split[k]);
  }
  return base;
}

Reach image_reach(const ImageBase& base, const Ends& box, const Weights& weights, const Radius* radius) {
  const MatrixD w = weights.weight.cast<double>();
  const Index units = w.rows();
  const Index values = w.cols();
  MatrixD r = MatrixD::Constant(units, values, radius != nullptr ? radius->uniform : 0);
  VectorD b = VectorD::Zero(units);
  VectorD s = VectorD::Zero(units);
  if (weights.bias.size() != 0) b = weights.bias.cast<double>();
  if (radius != nullptr) {
    if (radius->weight.size() != 0) r = radius->weight;
    s = radius->bias.size() != 0 ? radius->bias : VectorD::Constant(units, radius->bias_uniform);
  }
  Reach reach{MatrixD(units, base.limits.upper.size()), MatrixD(units, base.limits.upper.size()), b - s,
              b + s};
  VectorD size = b.cwiseAbs() + s;
  std::size_t split = 0;
  for (Index j = 0; j < values; ++j) {
    const double l = box.least(j);
    const double u = box.most(j);
    if (split < base.split.size() && base.split[split] == j) {
      const Index second = values + static_cast<Index>(split++);
      for (Index i = 0; i < units; ++i) {
        reach.low(i, j) = below(w(i, j) - r(i, j), r(i, j));
        reach.high(i, j) = above(w(i, j) + r(i, j), r(i, j));
        reach.low(i, second) = -reach.high(i, j);
        reach.high(i, second) = -reach.low(i, j);
      }
      continue;
    }
    const Line line = line_over_size(l, u);
    const double offset = base.offset(j);
    for (Index i = 0; i < units; ++i) {
      const double by = line.slope * r(i, j);
      reach.low(i, j) = below(w(i, j) - by, r(i, j));
      reach.high(i, j) = above(w(i, j) + by, r(i, j));
      reach.low_bias(i) += (w(i, j) - by) * offset - r(i, j) * line.constant;
      reach.high_bias(i) += (w(i, j) + by) * offset + r(i, j) * line.constant;
      size(i) += (std::abs(w(i, j)) + r(i, j)) * std::abs(offset) + r(i, j) * line.constant;
    }
  }
  const VectorD lost = (2 * gamma64(4 * values + 16)) * size;
  reach.low_bias = (reach.low_bias - lost).binaryExpr(size, &below);
  reach.high_bias = (reach.high_bias + lost).binaryExpr(size, &above);
  return reach;
}

}  // namespace temblor::exact
