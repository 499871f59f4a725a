#include "graph_pass.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/bounds/graph_backward.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// The part of a box that is beyond another.
std::optional<Radius> beyond(const std::optional<Radius>& box, const std::optional<Radius>& within,
                             const Weights& weights) {
  if (!box) return {};
  const auto matrix = [&](const std::optional<Radius>& radius) -> MatrixD {
    if (!radius) return MatrixD::Zero(weights.weight.rows(), weights.weight.cols());
    if (radius->weight.size() > 0) return radius->weight;
    return MatrixD::Constant(weights.weight.rows(), weights.weight.cols(), radius->uniform);
  };
  const auto vector = [&](const std::optional<Radius>& radius) -> VectorD {
    if (!radius) return VectorD::Zero(weights.weight.rows());
    if (radius->bias.size() > 0) return radius->bias;
    return VectorD::Constant(weights.weight.rows(), radius->bias_uniform);
  };
  Radius rest;
  rest.weight = (matrix(box) - matrix(within)).cwiseMax(0.0);
  rest.bias = (vector(box) - vector(within)).cwiseMax(0.0);
  return rest;
}

/// Whether every output reads inputs of its own channel alone, channels one after the other in both.
bool keeps_channels(const Layer& layer) {
  const auto kind = layer.kind();
  return layer.elementwise() || kind == "flatten" || kind == "max-pool" || kind == "average-pool" ||
         kind == "global-average-pool";
}

}  // namespace

GraphBackward::GraphBackward(const BoxProblem& problem)
    : network_(problem.network), radius_(problem.radius), moves_(problem.moves) {
  const auto nodes = network_.nodes().size();
  kernels_.resize(nodes);
  alone_.resize(nodes);
  balls_.resize(nodes);
  kinks_.resize(nodes);
  Index widest = network_.input().size();
  Index terms = 0;
  Index units = 0;
  for (std::size_t i = 0; i < nodes; ++i) {
    const int k = static_cast<int>(i);
    const auto& own = node(k);
    widest = std::max(widest, own.shape.size());
    units += own.shape.size();
    if (own.inputs.front() >= 0) {
      auto& kinks = kinks_[static_cast<std::size_t>(own.inputs.front())];
      for (const double kink : kinks_of(*own.layer)) kinks.push_back(kink);
    }
    if (own.weights < 0) continue;
    const auto m = static_cast<std::size_t>(own.weights);
    const Weights& weights = network_.weights(own.weights);
    if (shares_kernel(*own.layer)) {
      const auto* shared = problem.shared == nullptr ? nullptr : &(*problem.shared)[m];
      const auto& box = shared == nullptr ? radius_[m] : *shared;
      kernels_[i].emplace(own, input_shape(k), weights, box ? &*box : nullptr, moves_);
      if (shared != nullptr) alone_[i] = beyond(radius_[m], *shared, weights);
      terms = std::max(terms, kernels_[i]->terms());
      continue;
    }
    terms = std::max(terms, weights.weight.rows() + weights.weight.cols());
    if (moves_.l2_of(own.weights) > 0 || moves_.row_of(own.weights) > 0) {
      balls_[i].push_back(std::make_shared<NormAdversary>(weights.weight.rows(), moves_.l2_of(own.weights),
                                                          moves_.row_of(own.weights), moves_.biases));
    }
  }
  rows_ = std::clamp<Index>((Index{1} << 21) / widest, 32, 2048);
  // Coefficients, slopes and moments of every node: some 64 MiB.
  slope_rows_ = std::clamp<Index>((Index{1} << 20) / units, 2, std::min<Index>(rows_, 256));
  gamma_ = gamma64(8 * (terms + widest + static_cast<Index>(nodes)) + 4096);
}

const Shape& GraphBackward::input_shape(int k) const {
  const int input = node(k).inputs.front();
  return input < 0 ? network_.input() : node(input).shape;
}

const Radius* GraphBackward::box_of(int k) const {
  const int layer = node(k).weights;
  if (layer < 0) return nullptr;
  const auto& box = radius_[static_cast<std::size_t>(layer)];
  return box && !box->zero() ? &*box : nullptr;
}

bool GraphBackward::inputs_touched(int k, const Enclosures& enclosures) const {
  for (const int input : node(k).inputs)
    if (enclosures.touched(input)) return true;
  return false;
}

GraphCases GraphBackward::cases(const Enclosures& enclosures) const {
  GraphCases cases;
  cases.enclosures = &enclosures;
  const auto nodes = network_.nodes().size();
  cases.limits.resize(nodes);
  cases.size.resize(nodes);
  cases.reach.resize(nodes);
  cases.rounding.resize(nodes);
  cases.bands.resize(nodes);
  cases.planes.assign(nodes, -1);
  cases.still.resize(nodes);
  for (int k = 0; k < static_cast<int>(nodes); ++k) {
    if (!enclosures.touched(k)) continue;
    const auto i = static_cast<std::size_t>(k);
    const auto& own = node(k);
    cases.limits[i] = enclosures.moved(k);
    cases.rounding[i] = enclosures.rounding(k);
    if (alone_[i]) {
      own.layer->reach(magnitude(cases.of(own.inputs.front())), network_.weights(own.weights), *alone_[i],
                       cases.rounding[i]);
    }
    const MatrixD& moved = enclosures.moves_reach(k);
    // Every position rounds its products with a changed weight for itself.
    if (alone_[i] && moved.size() > 0)
      cases.rounding[i] += gamma32(network_.weights(own.weights).weight.cols() + 4) * moved;
    measure(k, cases);
    draw(k, cases);
  }
  for (int k = 0; k < static_cast<int>(nodes); ++k) find_plane(k, cases);
  return cases;
}

// What rounding is relative to.
void GraphBackward::measure(int k, GraphCases& cases) const {
  const auto i = static_cast<std::size_t>(k);
  const auto& own = node(k);
  std::vector<MatrixD> sizes;
  for (const int input : own.inputs) sizes.push_back(magnitude(cases.of(input)));
  if (own.weights < 0 && own.layer->affine()) {
    cases.size[i] = affine_size(*own.layer, sizes);
    return;
  }
  const MatrixD& z = sizes.front();
  const Interval box{z, z};
  const Interval* in = &box;
  Interval out;
  if (own.weights < 0) {
    own.layer->interval({&in, 1}, nullptr, nullptr, out);
    cases.size[i] = 4 * magnitude(out);
    if (own.layer->kind() != "max-pool") cases.size[i] += 4 * z;
    return;
  }
  const Weights& weights = network_.weights(own.weights);
  const Weights absolute{weights.weight.cwiseAbs(), weights.bias.cwiseAbs()};
  own.layer->interval({&in, 1}, &absolute, nullptr, out);
  cases.size[i] = out.upper;
  if (const Radius* radius = box_of(k)) {
    MatrixD reach;
    own.layer->reach(z, weights, *radius, reach);
    cases.size[i] += 2 * reach;
    if (!kernels_[i] && !inputs_touched(k, *cases.enclosures)) cases.reach[i] = std::move(reach);
  }
  const MatrixD& moved = cases.enclosures->moves_reach(k);
  if (kernels_[i] && moved.size() > 0) cases.size[i] += 2 * moved;
}

void GraphBackward::find_plane(int k, GraphCases& cases) const {
  if (moves_.budget.zero()) return;
  const auto i = static_cast<std::size_t>(k);
  const auto& own = node(k);
  const int input = own.inputs.front();
  Interval& still = cases.still[i];
  if (own.weights >= 0) {
    const bool ball = moves_.l2_of(own.weights) > 0 || moves_.row_of(own.weights) > 0;
    if (ball || !moves_.allowance(own.weights)) return;
    cases.planes[i] = k;
    const Interval* in = &cases.of(input);
    own.layer->interval({&in, 1}, &network_.weights(own.weights), box_of(k), still);
  } else {
    if (own.inputs.size() != 1 || input < 0 || !keeps_channels(*own.layer)) return;
    cases.planes[i] = cases.planes[static_cast<std::size_t>(input)];
    if (cases.planes[i] < 0) return;
    const Interval* in = &cases.still[static_cast<std::size_t>(input)];
    own.layer->interval({&in, 1}, nullptr, nullptr, still);
  }
  const MatrixD& rounding = cases.enclosures->rounding(k);
  if (rounding.size() == 0) return;
  const MatrixD by = rounding + magnitude(still) * 0x1p-52;
  still.lower -= by;
  still.upper += by;
}

void GraphBackward::draw(int k, GraphCases& cases) const {
  const auto& own = node(k);
  if (!has_band(*own.layer)) return;
  cases.bands[static_cast<std::size_t>(k)] =
      enclosing_band(*own.layer, input_shape(k), cases.of(own.inputs.front()));
}

VectorD GraphBackward::minimum(int node, MatrixD coefficients, std::vector<Index> at, const GraphCases& cases,
                               Effort* effort) const {
  const Index rows = coefficients.rows();
  if (rows <= rows_) return Pass(*this, cases, std::move(at), effort).run(node, std::move(coefficients));
  VectorD low(rows);
  const VectorD enough = effort == nullptr ? VectorD() : effort->enough;
  for (Index begin = 0; begin < rows; begin += rows_) {
    const Index count = std::min(rows_, rows - begin);
    const auto from = at.begin() + static_cast<std::ptrdiff_t>(begin);
    if (effort != nullptr) effort->enough = enough.segment(begin, count);
    low.segment(begin, count) = minimum(node, coefficients.middleRows(begin, count),
                                        {from, from + static_cast<std::ptrdiff_t>(count)}, cases, effort);
  }
  return low;
}

std::string refuses_graph(const Network& network) {
  for (const auto& node : network.nodes()) {
    const bool known = has_band(*node.layer) || node.layer->affine();
    if (known) continue;
    return "layer '" + node.name + "' (" + std::string(node.layer->kind()) +
           ") has no lines around it: relu, leaky-relu, clip and max-pool have, and layers that are affine";
  }
  return {};
}

}  // namespace temblor
