#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/moves_reach.hpp>
#include <temblor/bounds/nominal.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

// [images x units], or empty where the layer does not round.
MatrixD float32_rounding(const Network::Node& node, std::span<const Interval* const> in) {
  const double absolute = node.layer->float_error();
  const double relative = node.weights < 0 ? node.layer->float_relative() : 0.0;
  if (absolute == 0 && relative == 0) return {};
  const Index images = in.front()->lower.rows();
  MatrixD error = MatrixD::Constant(images, node.shape.size(), absolute);
  if (relative == 0) return error;
  std::vector<MatrixD> sizes;
  for (const Interval* input : in) sizes.push_back(magnitude(*input));
  const MatrixD size = node.layer->affine() ? affine_size(*node.layer, sizes) : sizes.front();
  // A product may lie below the normal range.
  error += (relative * (1 + 0x1p-50)) * size;
  error.array() += 0x1p-149;
  return error;
}

}  // namespace

Interval entering(const BoxProblem& problem, bool moved, Index first, Index count) {
  if (problem.entry == nullptr) return image_box(problem.data, first, count, moved ? problem.moves.input : 0);
  const Interval& all = moved && problem.float32 ? problem.entry->in_float32 : problem.entry->exact;
  return {all.lower.middleRows(first, count), all.upper.middleRows(first, count)};
}

Enclosures::Enclosures(const BoxProblem& problem, Index first, Index count, int last) {
  const auto& network = problem.network;
  images_ = entering(problem, false, first, count);
  image_moves_ = problem.moves.input > 0 || (problem.entry != nullptr && problem.float32);
  if (image_moves_) image_box_ = entering(problem, true, first, count);
  const auto nodes = static_cast<std::size_t>(last);
  nominal_ = nominal_outputs(network, images_, nodes);
  moved_.resize(nodes);
  reach_.resize(nodes);
  moves_reach_.resize(nodes);
  rounding_.resize(nodes);
  touched_.assign(nodes, false);
  std::vector<const Interval*> moved_in;
  for (std::size_t k = 0; k < nodes; ++k) {
    const auto& node = network.nodes()[k];
    moved_in.clear();
    bool inputs_touched = false;
    for (const int input : node.inputs) {
      moved_in.push_back(&moved(input));
      inputs_touched = inputs_touched || touched(input);
    }
    const auto* weights = node.weights < 0 ? nullptr : &network.weights(node.weights);
    const Radius* radius = nullptr;
    if (weights != nullptr) {
      const auto& box = problem.radius[static_cast<std::size_t>(node.weights)];
      if (box && !box->zero()) radius = &*box;
    }
    const bool moving = weights != nullptr && problem.moves.touch(node.weights);
    MatrixD& rounding = rounding_[k];
    if (problem.float32) rounding = float32_rounding(node, moved_in);
    touched_[k] = inputs_touched || radius != nullptr || moving || rounding.size() > 0;
    if (!touched_[k]) continue;
    MatrixD& reach = reach_[k];
    if (!inputs_touched && radius != nullptr && node.inputs.size() == 1 &&
        node.layer->reach(magnitude(nominal(node.inputs.front())), *weights, *radius, reach)) {
      // Inputs known exactly: the boxes add abs(z) R on both sides and no second product with the weights is
      // needed.
      // The last additions round too: 2^-52 of what is added.
      const auto size =
          (nominal_[k].lower.cwiseAbs().cwiseMax(nominal_[k].upper.cwiseAbs()) + reach) * 0x1p-52;
      moved_[k].lower = nominal_[k].lower - reach - size;
      moved_[k].upper = nominal_[k].upper + reach + size;
    } else {
      node.layer->interval(moved_in, weights, radius, moved_[k]);
    }
    if (rounding.size() > 0) {
      const MatrixD by = rounding + magnitude(moved_[k]) * 0x1p-52;
      moved_[k].lower -= by;
      moved_[k].upper += by;
    }
    if (!moving) continue;
    const MatrixD size = magnitude(*moved_in.front());
    MatrixD& most = moves_reach_[k];
    most = ball_reach(network, problem.moves, static_cast<int>(k), size);
    if (!inputs_touched) {
      if (reach.size() == 0) reach = MatrixD::Zero(size.rows(), node.shape.size());
      reach += most;
      reach *= 1.0 + 0x1p-51;
    }
    if (problem.moves.allowance(node.weights)) {
      most += budget_reach(network, problem.moves, static_cast<int>(k), size);
    }
    const MatrixD by = most + (magnitude(moved_[k]) + most) * 0x1p-51;
    moved_[k].lower -= by;
    moved_[k].upper += by;
  }
}

MatrixD magnitude(const Interval& interval) {
  return interval.lower.cwiseAbs().cwiseMax(interval.upper.cwiseAbs());
}

MatrixD affine_size(const Layer& layer, const std::vector<MatrixD>& sizes) {
  std::vector<Interval> boxes;
  std::vector<const Interval*> in;
  for (const MatrixD& size : sizes) boxes.push_back({-size, size});
  for (const Interval& box : boxes) in.push_back(&box);
  Interval out;
  layer.interval(in, nullptr, nullptr, out);
  return magnitude(out);
}

Index bound_block(const Network& network) {
  Index units = network.input().size();
  for (const auto& node : network.nodes()) units += node.shape.size();
  // Four matrices of doubles a node: about 16 MiB a block, so that large networks fit too.
  return std::clamp<Index>((Index{1} << 19) / units, 2, 128);
}

MatrixD over_blocks(const BoxProblem& problem, const BlockBound& block) {
  const Index images = problem.data.size();
  MatrixD value(images, problem.network.classes());
  const Index rows = bound_block(problem.network);
  const Index blocks = (images + rows - 1) / rows;
  tbb::parallel_for(Index{0}, blocks, [&](Index b) {
    const Index first = b * rows;
    const Index count = std::min(rows, images - first);
    value.middleRows(first, count) = block(problem, first, count);
  });
  for (Index n = 0; n < images; ++n) value(n, problem.data.labels[static_cast<std::size_t>(n)]) = 0;
  return value;
}

namespace {

double no_number_is_infinite(double limit) {
  return std::isnan(limit) ? std::numeric_limits<double>::infinity() : limit;
}

// The unperturbed network is a member of every set, so a limit below 0 is never right. Where sizes overflow,
// Inf - Inf leaves no number: then nothing is known, and the limit is infinite.
MatrixD limits(const BoxProblem& problem, const BoundMaker& make) {
  return over_blocks(problem, make(problem)).unaryExpr([](double limit) {
    return limit < 0 ? 0.0 : no_number_is_infinite(limit);
  });
}

}  // namespace

Float32Boxes float32_boxes(const Network& network, const ThreatSet& set) {
  for (const auto& node : network.nodes()) {
    if (!std::isfinite(node.layer->float_error())) {
      usage_error("--arithmetic",
                  "nothing is known about the float32 rounding of layer '" + node.name + "' (" +
                      std::string(node.layer->kind()) + ")",
                  "leave --arithmetic out");
    }
  }
  const auto layers = static_cast<std::size_t>(network.layers());
  Float32Boxes boxes;
  boxes.rounded.resize(layers);
  boxes.grown.resize(layers);
  for (std::size_t m = 0; m < layers; ++m) {
    const auto& weights = network.weights(static_cast<int>(m));
    const auto& box = set.radius[m];
    const Index fan_in = weights.weight.cols();
    // fan_in products, their sum, the bias, and what a rank-one form of the perturbation adds.
    const double g = gamma32(fan_in + 4);
    const double least = static_cast<double>(fan_in + 1) * 0x1p-149;
    Radius own;
    own.weight = g * weights.weight.cast<double>().cwiseAbs();
    own.bias = VectorD::Constant(weights.weight.rows(), least);
    if (weights.bias.size() > 0) own.bias += g * weights.bias.cast<double>().cwiseAbs();
    Radius both = own;
    if (box) {
      if (box->weight.size() > 0) {
        both.weight += (1.0 + g) * box->weight;
      } else {
        both.weight.array() += (1.0 + g) * box->uniform;
      }
      if (box->bias.size() > 0) {
        both.bias += (1.0 + g) * box->bias;
      } else {
        both.bias.array() += (1.0 + g) * box->bias_uniform;
      }
    }
    boxes.rounded[m] = std::move(own);
    boxes.grown[m] = std::move(both);
  }
  return boxes;
}

BoundValues box_bound(const BoundContext& context, const BlockBound& block) {
  return box_bound(context, BoundMaker([&](const BoxProblem&) { return block; }));
}

BoundValues box_bound(const BoundContext& context, const BoundMaker& make, const EntryBox* entry) {
  const auto& network = context.network;
  BoundValues values;
  const Moves moves = moves_of(context.set, network);
  values.value =
      limits({network, context.data, context.set.radius, false, false, moves, nullptr, entry}, make);
  if (!context.arithmetic) return values;

  const auto [rounded, grown] = float32_boxes(network, context.set);
  const std::vector<std::optional<Radius>> none(rounded.size());
  const MatrixD drop = limits({network, context.data, grown, true, false, moves_in_float32(moves, network),
                               &context.set.radius, entry},
                              make);
  const MatrixD rise = limits({network, context.data, rounded, true, true, {}, &none, entry}, make);
  values.arithmetic = ((drop - values.value).cwiseMax(0.0) + rise) * (1.0 + 0x1p-50);
  values.arithmetic += values.value * 0x1p-50;
  values.arithmetic = values.arithmetic.unaryExpr(&no_number_is_infinite).eval();
  return values;
}

std::vector<std::vector<Index>> rows_by_label(const Dataset& data, Index first, Index count) {
  std::vector<std::vector<Index>> rows(static_cast<std::size_t>(data.classes));
  for (Index n = 0; n < count; ++n) {
    rows[static_cast<std::size_t>(data.labels[static_cast<std::size_t>(first + n)])].push_back(n);
  }
  return rows;
}

std::string refuses_box(const Network& network, const ThreatSet& set) {
  if (set.input > 0) return "the image moves too: it takes the weights alone";
  if (set.frobenius > 0 || set.row > 0) return "an l2 ball is not a box around each weight";
  if (!set.budget.zero()) return "k changed weights are not a box around each weight";
  return refuses_set(network, set);
}

std::string refuses_set(const Network& network, const ThreatSet& set) {
  if (auto why = refuses_moves(network, set); !why.empty()) return why;
  for (int m = 0; m < network.layers(); ++m) {
    if (!network.weights(m).weight.allFinite() || !network.weights(m).bias.allFinite()) {
      return "layer '" + network.layer_name(m) + "' has weights that are not finite in this format";
    }
  }
  return {};
}

std::string refuses_chain(const Network& network) {
  const auto& nodes = network.nodes();
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const auto& node = nodes[k];
    const std::string kind(node.layer->kind());
    if (node.inputs.size() != 1 || node.inputs.front() != static_cast<int>(k) - 1) {
      return "node '" + node.name + "' does not continue a chain";
    }
    if (kind != "dense" && kind != "flatten" && !node.layer->elementwise()) {
      return "layer '" + node.name + "' (" + kind +
             ") is neither dense nor an element-wise 1-Lipschitz activation";
    }
  }
  if (nodes.empty() || nodes.back().layer->kind() != "dense") return "the last layer is not dense";
  return {};
}

MarginRows margin_rows(const Weights& weights, const Radius* radius, std::int32_t label) {
  MarginRows rows;
  const MatrixD weight = weights.weight.cast<double>();
  const Index classes = weight.rows();
  rows.weight = (-weight).rowwise() + weight.row(label);
  rows.bias = VectorD::Zero(classes);
  if (weights.bias.size() > 0) {
    const VectorD bias = weights.bias.cast<double>();
    rows.bias = bias(label) - bias.array();
  }
  if (radius == nullptr) return rows;
  rows.radius.uniform = 2 * radius->uniform;
  if (radius->weight.size() > 0) rows.radius.weight = radius->weight.rowwise() + radius->weight.row(label);
  rows.radius.bias_uniform = 2 * radius->bias_uniform;
  if (radius->bias.size() > 0) rows.radius.bias = radius->bias.array() + radius->bias(label);
  return rows;
}

}  // namespace temblor
