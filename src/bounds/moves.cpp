#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include <temblor/bounds/moves.hpp>
#include <temblor/bounds/taps.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

constexpr double ulp = 0x1p-52;
/// What the squares of numbers below the normal range may lose of a norm.
constexpr double underflow = 1e-150;
/// Each bounded row keeps as many numbers.
constexpr std::int64_t most_flips = 4096;
/// Beyond it float32 sums are not safe from overflow.
constexpr double largest_weight = 1e30;

double no_number_is_infinite(double x) {
  return std::isnan(x) ? std::numeric_limits<double>::infinity() : x;
}

}  // namespace

bool Moves::touch(int layer) const {
  return l2_of(layer) > 0 || row_of(layer) > 0 || static_cast<bool>(allowance(layer));
}

Allowance Moves::allowance(int layer) const {
  const auto m = static_cast<std::size_t>(layer);
  if (budget.count == 0) return {};
  if (!flips.empty()) return {nullptr, flips[m].levels() > 0 ? &flips[m] : nullptr};
  if (budget.each.empty()) return {};
  const auto& each = budget.each[m];
  return {each && !each->zero() ? &*each : nullptr, nullptr};
}

Moves moves_of(const ThreatSet& set, const Network& network) {
  Moves moves;
  const auto layers = static_cast<std::size_t>(network.layers());
  if (set.frobenius > 0) moves.l2.assign(layers, 0);
  if (set.row > 0) moves.row.assign(layers, 0);
  for (const int layer : set.layers) {
    if (set.frobenius > 0) moves.l2[static_cast<std::size_t>(layer)] = set.frobenius;
    if (set.row > 0) moves.row[static_cast<std::size_t>(layer)] = set.row;
  }
  moves.biases = set.biases;
  moves.budget = set.budget;
  if (set.budget.flips != nullptr) {
    for (const auto& codes : set.budget.flips->codes) {
      moves.flips.push_back(
          codes.codes.empty() ? FlipReach{} : flip_reach(codes, set.budget.count, set.budget.flips->mask));
    }
  }
  moves.input = set.input;
  return moves;
}

Moves moves_in_float32(const Moves& moves, const Network& network) {
  Moves grown = moves;
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto m = static_cast<std::size_t>(layer);
    const double grow = 1 + gamma32(network.weights(layer).weight.cols() + 4);
    if (!grown.l2.empty()) grown.l2[m] *= grow;
    if (!grown.row.empty()) grown.row[m] *= grow;
    if (!grown.flips.empty()) grown.flips[m].scale(grow);
    if (grown.budget.each.empty() || !grown.budget.each[m]) continue;
    auto& each = *grown.budget.each[m];
    each.uniform *= grow;
    each.weight *= grow;
    each.bias_uniform *= grow;
    each.bias *= grow;
  }
  return grown;
}

Interval image_box(const Dataset& data, Index first, Index count, double radius) {
  Interval box;
  box.lower = data.images.middleRows(first, count).cast<double>();
  box.upper = box.lower;
  if (radius == 0) return box;
  const MatrixD reach = (radius + ulp * (box.lower.cwiseAbs().array() + radius)).matrix();
  box.lower -= reach;
  box.upper += reach;
  if (data.least.size() == 0) return box;
  const Eigen::RowVectorXd least = data.least.cast<double>().transpose();
  const Eigen::RowVectorXd most = data.most.cast<double>().transpose();
  box.lower = box.lower.cwiseMax(least.replicate(count, 1)).eval();
  box.upper = box.upper.cwiseMin(most.replicate(count, 1)).eval();
  return box;
}

VectorD size_of(const MatrixD& magnitude, bool bias) {
  const double one = bias ? 1 : 0;
  const VectorD size = (magnitude.rowwise().squaredNorm().array() + one).sqrt();
  return (size * (1 + gamma64(magnitude.cols() + 8))).array() + underflow;
}

bool Largest::add(double x) {
  x = no_number_is_infinite(x);
  if (heap_.size() < k_) {
    heap_.push_back(x);
  } else {
    if (k_ == 0 || x <= heap_.front()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    heap_.back() = x;
  }
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  return true;
}

void Largest::add_products(const Eigen::Ref<const VectorD>& a, const Allowance& allowance,
                           const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order, bool signs) {
  if (allowance.each != nullptr) {
    const VectorD size = a.cwiseAbs();
    for (const Index i : descending(size)) {
      if (size(i) == 0) break;
      add_radius(size(i), i, *allowance.each, z, order);
    }
    return;
  }
  const FlipReach& flips = *allowance.flips;
  if (!signs) {
    add_flips(a.cwiseAbs(), flips.either, flips.largest_either, z, order);
    return;
  }
  add_flips(a.cwiseMax(0.0), flips.down, flips.largest_down, z, order);
  add_flips((-a).cwiseMax(0.0), flips.up, flips.largest_up, z, order);
}

void Largest::add_output(Index i, const Allowance& allowance, const Eigen::Ref<const VectorD>& z,
                         const std::vector<Index>& order) {
  if (allowance.each != nullptr) {
    add_radius(1, i, *allowance.each, z, order);
  } else {
    add_flips(1, i, allowance.flips->either, allowance.flips->largest_either(i), z, order);
  }
}

void Largest::add_radius(double size, Index i, const Radius& each, const Eigen::Ref<const VectorD>& z,
                         const std::vector<Index>& order) {
  const double bias = each.bias.size() > 0 ? each.bias(i) : each.bias_uniform;
  if (bias > 0) add(size * bias);
  const double row = each.weight.size() > 0 ? each.weight.row(i).maxCoeff() : each.uniform;
  for (const Index j : order) {
    if (z(j) == 0) break;
    const double own = each.weight.size() > 0 ? each.weight(i, j) : each.uniform;
    if (own > 0) add(size * own * z(j));
    // Nothing further in this row is larger.
    if (full(size * row * z(j))) break;
  }
}

void Largest::add_flips(const VectorD& size, const std::vector<MatrixD>& levels, const VectorD& largest,
                        const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order) {
  const VectorD most = size.cwiseProduct(largest);
  for (const Index i : descending(most)) {
    if (most(i) == 0) break;
    add_flips(size(i), i, levels, largest(i), z, order);
  }
}

// The flips of one weight come largest first: where one is not among the k largest, neither are the next.
void Largest::add_flips(double size, Index i, const std::vector<MatrixD>& levels, double largest,
                        const Eigen::Ref<const VectorD>& z, const std::vector<Index>& order) {
  for (const Index j : order) {
    if (z(j) == 0 || full(size * largest * z(j))) break;
    for (const auto& level : levels) {
      const double loss = size * level(i, j) * z(j);
      if (!(loss > 0) || !add(loss)) break;
    }
  }
}

void Largest::add_shared(const Interval& g, const VectorD& sums, const Allowance& allowance) {
  if (allowance.each != nullptr) {
    const Radius& each = *allowance.each;
    for (Index i = 0; i < g.lower.size(); ++i) {
      const double own = each.weight.size() > 0 ? each.weight.data()[i] : each.uniform;
      const double loss = own * std::max(-g.lower.data()[i], g.upper.data()[i]);
      if (loss != 0 && !full(loss)) add(loss);
    }
    for (Index c = 0; c < sums.size(); ++c) {
      const double loss = (each.bias.size() > 0 ? each.bias(c) : each.bias_uniform) * std::abs(sums(c));
      if (loss != 0) add(loss);
    }
    return;
  }
  const auto side = [&](const std::vector<MatrixD>& levels, Index i, double size) {
    if (size <= 0) return;
    for (const auto& level : levels) {
      const double loss = level.data()[i] * size;
      if (loss == 0 || full(loss)) return;
      add(loss);
    }
  };
  for (Index i = 0; i < g.lower.size(); ++i) {
    side(allowance.flips->up, i, -g.lower.data()[i]);
    side(allowance.flips->down, i, g.upper.data()[i]);
  }
}

double Largest::sum() const {
  double sum = 0;
  for (const double x : heap_) sum += x;
  return sum * (1 + gamma64(static_cast<Index>(heap_.size()) + 8));
}

std::vector<Index> descending(const Eigen::Ref<const VectorD>& values) {
  std::vector<Index> order(static_cast<std::size_t>(values.size()));
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return values(a) > values(b); });
  return order;
}

MatrixD balls_on_margins(const Moves& moves, int layer, Index label, const MatrixD& magnitude,
                         Index classes) {
  MatrixD most = MatrixD::Zero(magnitude.rows(), classes);
  const double radius = std::sqrt(2.0) * moves.l2_of(layer) + 2 * moves.row_of(layer);
  if (radius == 0) return most;
  most.colwise() += size_of(magnitude, moves.biases) * (radius * (1 + 8 * ulp));
  most.col(label).setZero();
  return most;
}

MatrixD budget_on_margins(const Moves& moves, int layer, Index label, const MatrixD& magnitude,
                          Index classes) {
  MatrixD most = MatrixD::Zero(magnitude.rows(), classes);
  const Allowance allowance = moves.allowance(layer);
  if (!allowance) return most;
  for (Index n = 0; n < magnitude.rows(); ++n) {
    const VectorD z = magnitude.row(n).transpose();
    const auto order = descending(z);
    std::optional<double> sum;
    for (Index j = 0; j < classes; ++j) {
      if (j == label) continue;
      if (!sum || !allowance.uniform()) {
        Largest largest(moves.budget.count);
        const VectorD rows = VectorD::Unit(classes, label) + VectorD::Unit(classes, j);
        largest.add_products(rows, allowance, z, order, false);
        sum = largest.sum();
      }
      most(n, j) = *sum;
    }
  }
  return most;
}

std::string refuses_moves(const Network& network, const ThreatSet& set) {
  if (const auto& flips = set.budget.flips; flips != nullptr) {
    if (set.budget.count > most_flips) {
      return "more than " + std::to_string(most_flips) + " flips at once are not followed";
    }
    for (int layer = 0; layer < network.layers(); ++layer) {
      const Encoded& codes = flips->codes[static_cast<std::size_t>(layer)];
      if (codes.codes.empty()) continue;
      if (auto why = refuses_flips(*codes.format, set.budget.count); !why.empty()) return why;
      const FlipReach reach = flip_reach(codes, set.budget.count, flips->mask);
      const std::string weights =
          "weights of layer '" + network.layer_name(layer) + "' in format " + codes.format->name;
      if (!reach.finite()) return "flips can make " + weights + " infinite: only an infinite bound is true";
      if (reach.levels() > 0 && reach.largest_either.maxCoeff() > largest_weight) {
        return "flips can make " + weights +
               " so large that float32 sums overflow: only an infinite bound is true";
      }
    }
  } else if (set.ball == Ball::bits) {
    return "any number of flips, or flips in scales or activations: no bound of the real-valued kind";
  }
  if (set.frobenius == 0 && set.row == 0 && set.budget.zero()) return {};
  for (const int layer : set.layers) {
    const auto& node = network.nodes()[static_cast<std::size_t>(network.node_of(layer))];
    if (node.layer->kind() == "dense" || shares_kernel(*node.layer)) continue;
    return "layer '" + node.name + "' (" + std::string(node.layer->kind()) + "): " + to_text(set.ball) +
           " balls are bounded on dense, conv2d and scale layers only";
  }
  return {};
}

}  // namespace temblor
