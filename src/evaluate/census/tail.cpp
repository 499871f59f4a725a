#include "tail.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::census {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double largest = static_cast<double>(std::numeric_limits<float>::max());
constexpr double unit_roundoff = 0x1p-24;

const Weights& weights_of(const Network& network, const Chain::Stage& stage) {
  return network.weights(network.nodes()[static_cast<std::size_t>(stage.node)].weights);
}

/// Everything above in the far direction.
struct Direction {
  VectorD slope;      ///< of a stage's outputs
  VectorD size;       ///< the same with absolute weights and no unit dead: what rounding is relative to
  VectorD fixed;      ///< largest part that does not grow
  double prefix = 0;  ///< largest slope of a partial sum
};

/// Whether +inf in one unit reaches the logits of every image.
bool infinity_spreads(const Network& network, const Chain& chain, std::size_t stage, Index unit) {
  std::vector<Index> infinite{unit};
  for (std::size_t k = stage + 1; k < chain.stages.size(); ++k) {
    const Matrix& weight = weights_of(network, chain.stages[k]).weight;
    std::vector<Index> next;
    for (Index r = 0; r < weight.rows(); ++r) {
      bool up = false;
      bool down = false;
      for (const Index c : infinite) {
        const float w = weight(r, c);
        up = up || !(w < 0.0F);
        down = down || !(w > 0.0F);
      }
      if (up && down) return true;  // NaN, and NaN spreads
      if (up) next.push_back(r);
    }
    if (k + 1 == chain.stages.size()) return true;
    if (next.empty()) return false;
    infinite = std::move(next);
  }
  return false;
}

/// Partial sums of a row in index order, in the far direction.
void climb(const Weights& weights, const VectorD& slope, Direction& to) {
  const Matrix& weight = weights.weight;
  VectorD next(weight.rows());
  to.prefix = 0;
  for (Index r = 0; r < weight.rows(); ++r) {
    double sum = 0;
    for (Index c = 0; c < weight.cols(); ++c) {
      sum += static_cast<double>(weight(r, c)) * slope[c];
      to.prefix = std::max(to.prefix, std::fabs(sum));
    }
    next[r] = sum;
  }
  const MatrixD size = weight.cast<double>().cwiseAbs();
  to.size = size * to.size;
  to.fixed = size * to.fixed;
  if (weights.bias.size() != 0) to.fixed += weights.bias.cast<double>().cwiseAbs();
  to.slope = std::move(next);
}

}  // namespace

Tail make_tail(const RayTracer& tracer, const Network& network, const Chain& chain, std::size_t stage,
               Index unit) {
  Tail tail;
  const Chain::Stage& own = chain.stages[stage];
  const double most = own.most;
  tail.own_finite = 0.999 * largest - most;
  tail.own_infinite = 1.001 * largest + most;
  if (tracer.last()) {
    tail.infinite_lost = true;
    return tail;
  }
  tail.infinite_lost = infinity_spreads(network, chain, stage, unit);

  const Index units = own.before.rows();
  const Matrix& outputs = chain.after(stage);
  Direction far;
  far.slope = VectorD::Unit(units, unit);
  far.size = far.slope;
  far.fixed = outputs.cwiseAbs().rowwise().maxCoeff().cast<double>();
  double rounding = unit_roundoff * static_cast<double>(own.input.rows() + 64);
  tail.finite_to = infinity;
  tail.inner_to = infinity;
  for (std::size_t k = stage + 1; k < chain.stages.size(); ++k) {
    const Weights& weights = weights_of(network, chain.stages[k]);
    climb(weights, far.slope, far);
    rounding += 2 * unit_roundoff * static_cast<double>(weights.weight.cols() + 64);
    const double extra = 2 * rounding * far.size.maxCoeff();
    const double fixed = 2 * (far.fixed.maxCoeff() + chain.stages[k].most);
    const double finite = (0.999 * largest - fixed) / (far.prefix + extra) - most;
    tail.finite_to = std::min(tail.finite_to, finite);
    if (k + 1 == chain.stages.size()) {
      const double sure = far.prefix - extra;
      tail.lost_from = sure > 0 ? (1.001 * largest + fixed) / sure + most : infinity;
      break;
    }
    tail.inner_to = std::min(tail.inner_to, finite);
    for (Index r = 0; r < far.slope.size(); ++r) {
      if (far.slope[r] != 0.0) tail.from = std::max(tail.from, 2 * far.fixed[r] / std::fabs(far.slope[r]));
      if (far.slope[r] < 0.0) far.slope[r] = 0.0;
    }
  }
  tail.from += 2 * most;

  Index best = 0;
  const double top = far.slope.maxCoeff(&best);
  double second = -infinity;
  for (Index j = 0; j < far.slope.size(); ++j) {
    if (j != best) second = std::max(second, far.slope[j]);
    double rival = -infinity;
    for (Index other = 0; other < far.slope.size(); ++other) {
      if (other != j) rival = std::max(rival, far.slope[other]);
    }
    tail.drop_rate.push_back(rival - far.slope[j]);
  }
  double fixed = 0;
  double growing = 0;
  for (Index image = 0; image < own.before.cols(); ++image) {
    const Guard guard = tracer.guard(unit, image);
    fixed = std::max(fixed, guard.fixed);
    growing = std::max(growing, guard.growing);
  }
  const double spare = top - second - 2.01 * growing;
  if (spare > 0) {
    tail.code = static_cast<std::int32_t>(best);
    tail.from = std::max(tail.from, 4 * (fixed + far.fixed.maxCoeff() + most) / spare);
  }
  tail.lost_from = std::max(tail.lost_from, tail.from);  // the slopes hold only there
  return tail;
}

}  // namespace temblor::census
