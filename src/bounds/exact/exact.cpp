#include "image.hpp"
#include "one_layer.hpp"
#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/bounds/exact.hpp>
#include <temblor/bounds/graph_backward.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/tail.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace exact {
namespace {

constexpr Index limit_pivots = 200;  // of one program that tightens a hidden limit

/// The margin rows of one label, rounded downward: margin >= cost(j) . z + constant(j) for z >= 0.
struct Margins {
  MatrixD cost;      ///< [classes x last hidden units]
  VectorD constant;  ///< [classes]
};

/// A network and one box, as bounds see them.
struct Side {
  std::vector<Reach> hidden;
  std::vector<Margins> margins;  ///< by label
};

Reach reach_of(const Weights& weights, const Radius* box) {
  const MatrixD w = weights.weight.cast<double>();
  MatrixD r = MatrixD::Constant(w.rows(), w.cols(), box != nullptr ? box->uniform : 0);
  VectorD b = VectorD::Zero(w.rows());
  VectorD s = VectorD::Zero(w.rows());
  if (weights.bias.size() != 0) b = weights.bias.cast<double>();
  if (box != nullptr) {
    if (box->weight.size() != 0) r = box->weight;
    s = box->bias.size() != 0 ? box->bias : VectorD::Constant(w.rows(), box->bias_uniform);
  }
  return {(w - r).binaryExpr(r, &below), (w + r).binaryExpr(r, &above), (b - s).binaryExpr(s, &below),
          (b + s).binaryExpr(s, &above)};
}

Side side_of(const Network& network, const std::vector<std::optional<Radius>>& radius) {
  Side side;
  const int top = network.layers() - 1;
  for (int m = 0; m < top; ++m) {
    const auto& box = radius[static_cast<std::size_t>(m)];
    side.hidden.push_back(reach_of(network.weights(m), box ? &*box : nullptr));
  }
  const auto& box = radius[static_cast<std::size_t>(top)];
  for (std::int32_t y = 0; y < network.classes(); ++y) {
    const auto rows = margin_rows(network.weights(top), box ? &*box : nullptr, y);
    MatrixD r = MatrixD::Constant(rows.weight.rows(), rows.weight.cols(), rows.radius.uniform);
    VectorD s = VectorD::Constant(rows.weight.rows(), rows.radius.bias_uniform);
    if (rows.radius.weight.size() != 0) r = rows.radius.weight;
    if (rows.radius.bias.size() != 0) s = rows.radius.bias;
    // Differences of two rows round once more: sizes are those of the rows themselves.
    const double most = network.weights(top).weight.cast<double>().cwiseAbs().maxCoeff();
    const MatrixD size = r.array() + 2 * most;
    side.margins.push_back({(rows.weight - r).binaryExpr(size, &below),
                            (rows.bias - s).binaryExpr(VectorD(s + rows.bias.cwiseAbs()), &below)});
  }
  return side;
}

/// Limits of the hidden layers of a block of images, by interval propagation.
std::vector<Interval> hidden_limits(const Network& network, const Enclosures& enclosures) {
  std::vector<Interval> limits;
  for (int m = 0; m + 1 < network.layers(); ++m) limits.push_back(enclosures.moved(network.node_of(m)));
  return limits;
}

/// What all images share.
struct Task {
  const Network& network;
  const Dataset& data;
  std::vector<const std::vector<std::optional<Radius>>*> radius;  ///< by reading
  std::vector<Side> sides;
  Chain chain;
  std::size_t base;  ///< the first hidden layer that moves, or the last one
  double input;      ///< how far the images move
  const EntryBox* entry;
  const ExactOptions& options;
};

/// Results of one image.
struct Row {
  std::vector<VectorD> lower;  ///< by reading and class: lower limit of the pair margin
  VectorD attained;            ///< by class: upper limit of the margin of the member found
  VectorD nodes, open;
  std::vector<VectorD> worst;
};

/// Values of a moving image whose size counts: some weight they meet has a radius.
std::vector<char> kinks_of(const std::optional<Radius>& radius, Index values) {
  std::vector<char> kinks(static_cast<std::size_t>(values), 0);
  if (!radius) return kinks;
  for (Index j = 0; j < values; ++j) {
    const double most = radius->weight.size() != 0 ? radius->weight.col(j).maxCoeff() : radius->uniform;
    kinks[static_cast<std::size_t>(j)] = most > 0 ? 1 : 0;
  }
  return kinks;
}

Members members_of(const Task& task, Index n) {
  if (task.input > 0) {
    Ends ends = inner_ends(task.data, n, task.input);
    return {task.chain, std::move(ends.least), std::move(ends.most)};
  }
  return still_members(task.chain, task.base, task.data, task.entry, n);
}

class Image {
 public:
  Image(const Task& task, std::vector<Reading> readings, Index n)
      : task_(&task),
        base_(task.base),
        readings_(std::move(readings)),
        members_(members_of(task, n)),
        label_(task.data.labels[static_cast<std::size_t>(n)]) {
    if (task.input > 0) move(n);
  }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  Row run(const VectorD& nominal, const std::vector<VectorD>* start) {
    const std::size_t hidden = members_.layers();
    for (std::size_t m = base_ + 2; m < hidden; ++m) tighten(readings_, base_, m, limit_pivots);
    const Relaxation relaxation(readings_, base_, hidden - 1);
    const Index classes = nominal.size();
    Row row;
    row.lower.assign(readings_.size(), VectorD::Zero(classes));
    row.attained = VectorD::Zero(classes);
    row.nodes = row.open = VectorD::Zero(classes);
    std::vector<Index> order;
    const auto label = static_cast<std::size_t>(label_);
    for (Index j = 0; j < classes; ++j) {
      if (j == label_) continue;
      order.push_back(j);
      const VectorD y = relaxation.backward(relaxation.spread(task_->sides[0].margins[label].cost.row(j)));
      for (std::size_t q = 0; q < readings_.size(); ++q) {
        const Margins& margins = task_->sides[q].margins[label];
        const Program& program = relaxation.programs()[q];
        const double low = Relaxation::limit(program, relaxation.spread(margins.cost.row(j)), program.lower,
                                             program.upper, y);
        row.lower[q](j) = below(low + margins.constant(j), std::abs(low));
      }
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return row.lower[0](a) < row.lower[0](b); });
    BoxedLp lp = relaxation.start(relaxation.spread(task_->sides[0].margins[label].cost.row(order.front())));
    double lowest = std::numeric_limits<double>::infinity();
    for (const Index j : order) {
      members_.aim(label_, static_cast<std::int32_t>(j));
      SearchOptions options{task_->options.gap, task_->options.nodes, task_->options.seconds};
      if (!task_->options.all_pairs) options.enough = lowest;
      std::vector<VectorD> costs;
      std::vector<double> constants;
      for (const Side& side : task_->sides) {
        costs.push_back(relaxation.spread(side.margins[label].cost.row(j)));
        constants.push_back(side.margins[label].constant(j));
      }
      Search search(relaxation, lp, members_, base_, nominal(j), options);
      std::vector<double> known;
      for (const auto& lower : row.lower) known.push_back(lower(j));
      const Found found = search.run(costs, constants, known, start);
      for (std::size_t q = 0; q < readings_.size(); ++q) row.lower[q](j) = std::max(known[q], found.lower[q]);
      row.nodes(j) = static_cast<double>(found.nodes);
      row.open(j) = found.closed ? 0 : 1;
      row.attained(j) = nominal(j);
      if (found.slack.empty()) continue;
      members_.load(found.slack);
      row.attained(j) = members_.margin_above();
      if (row.attained(j) < lowest) {
        lowest = row.attained(j);
        row.worst = found.slack;
      }
    }
    return row;
  }

 private:
  /// The image's values come before the hidden layers, as a layer of their own.
  void move(Index n) {
    const Interval outer = image_box(task_->data, n, 1, task_->input);
    const Ends box{outer.lower.row(0).transpose(), outer.upper.row(0).transpose()};
    image_ = image_base(box, kinks_of(task_->radius.front()->front(), box.least.size()));
    reach_.resize(readings_.size());
    for (std::size_t q = 0; q < readings_.size(); ++q) {
      const auto& radius = task_->radius[q]->front();
      reach_[q] = *readings_[q].reach;
      reach_[q].front() = image_reach(image_, box, task_->network.weights(0), radius ? &*radius : nullptr);
      reach_[q].insert(reach_[q].begin(), Reach{});
      readings_[q].reach = &reach_[q];
      readings_[q].limits.insert(readings_[q].limits.begin(), image_.limits);
      readings_[q].image = &image_;
    }
    base_ = 0;
  }

  const Task* task_;
  std::size_t base_;
  ImageBase image_;
  std::vector<std::vector<Reach>> reach_;  ///< by reading, of a moving image
  std::vector<Reading> readings_;
  Members members_;
  std::int32_t label_;
};

}  // namespace
}  // namespace exact

namespace {

MatrixD not_negative(const MatrixD& limits) {
  return limits.unaryExpr([](double limit) {
    return std::isnan(limit) ? std::numeric_limits<double>::infinity() : std::max(0.0, limit);
  });
}

/// linear-fast through a whole network in float32: how much its members' pair margins may drop, or the base
/// network's rise, [images x classes].
MatrixD graph_in_float32(const BoundContext& whole, bool rise) {
  const Float32Boxes boxes = float32_boxes(whole.network, whole.set);
  const std::vector<std::optional<Radius>> none(boxes.rounded.size());
  const BoxProblem problem{whole.network, whole.data, rise ? boxes.rounded : boxes.grown, true,
                           rise,          {},         rise ? &none : &whole.set.radius};
  const GraphBackward backward(problem);
  return not_negative(over_blocks(problem, [&](const BoxProblem& own, Index first, Index count) {
    return GraphDrops(own, backward, std::nullopt, first, count).value;
  }));
}

/// How much float32 evaluation of a chain may raise its pair margins: `linear` over the box `rounded` of
/// float32_boxes, [images x classes].
MatrixD linear_rise(const BoundContext& chain, const std::vector<std::optional<Radius>>& rounded,
                    const EntryBox* entry) {
  const BoxProblem problem{chain.network, chain.data, rounded, true, true, {}, nullptr, entry};
  const Backward backward(problem);
  return not_negative(over_blocks(problem, [&](const BoxProblem& own, Index first, Index count) {
    return linear_drops(own, backward, first, count);
  }));
}

/// A chain of two layers or more, `whole` or its tail.
ExactWorst worst_of_chain(const BoundContext& whole, const BoundContext& chain, const EntryBox* entry,
                          const ExactOptions& options, const SampleDelta* start) {
  using namespace exact;
  const Network& network = chain.network;
  const Dataset& data = chain.data;
  const ThreatSet& set = chain.set;
  const bool arithmetic = chain.arithmetic;
  Task task{network,   data,  {&set.radius}, {}, Chain(network, set.radius), base_layer(network, set.radius),
            set.input, entry, options};
  Float32Boxes boxes;
  if (arithmetic) {
    boxes = float32_boxes(network, set);
    task.radius.push_back(&boxes.grown);
    task.base = std::min(task.base, base_layer(network, boxes.grown));
  }
  for (const auto* radius : task.radius) task.sides.push_back(side_of(network, *radius));
  const Index images = data.size();
  const Index classes = network.classes();
  ExactWorst result = empty_worst(network, data, set);
  MatrixD grown = MatrixD::Zero(arithmetic ? images : 0, classes);
  const Index block = bound_block(network);
  const int last = static_cast<int>(network.nodes().size()) - 1;
  for (Index first = 0; first < images; first += block) {
    const Index count = std::min(block, images - first);
    std::vector<std::vector<Interval>> limits;
    MatrixD before_low(count, classes), before_high(count, classes);
    for (std::size_t q = 0; q < task.radius.size(); ++q) {
      Moves moves;
      moves.input = set.input;
      const Enclosures enclosures({network, data, *task.radius[q], q > 0, false, moves, nullptr, entry},
                                  first, count, last);
      limits.push_back(hidden_limits(network, enclosures));
      if (q > 0) continue;
      const Interval& nominal = enclosures.nominal(network.nodes().back().inputs.front());
      for (Index n = 0; n < count; ++n) {
        const auto rows = margin_rows(network.weights(network.layers() - 1), nullptr,
                                      data.labels[static_cast<std::size_t>(first + n)]);
        Interval margin;
        affine_interval(rows.weight, rows.bias, nullptr, {nominal.lower.row(n), nominal.upper.row(n)},
                        margin);
        before_low.row(n) = margin.lower;
        before_high.row(n) = margin.upper;
      }
    }
    tbb::this_task_arena::isolate([&] {
      tbb::parallel_for(Index{0}, count, [&](Index n) {
        std::vector<Reading> readings;
        for (std::size_t q = 0; q < task.sides.size(); ++q) {
          Reading reading{&task.sides[q].hidden, {}};
          for (const Interval& layer : limits[q]) {
            reading.limits.push_back({layer.lower.row(n).transpose(), layer.upper.row(n).transpose()});
          }
          readings.push_back(std::move(reading));
        }
        const Index at = first + n;
        const auto label = data.labels[static_cast<std::size_t>(at)];
        std::vector<VectorD> begin;
        if (start != nullptr) begin = taken(*start, task.chain, data, at);
        const Row row = Image(task, std::move(readings), at)
                            .run(before_high.row(n).transpose(), begin.empty() ? nullptr : &begin);
        for (Index j = 0; j < classes; ++j) {
          if (j == label) continue;
          result.values.value(at, j) =
              std::max(0.0, above(before_high(n, j) - row.lower[0](j), std::abs(row.lower[0](j))));
          result.values.attained(at, j) =
              std::max(0.0, below(before_low(n, j) - row.attained(j), std::abs(row.attained(j))));
          if (arithmetic) {
            grown(at, j) = above(before_high(n, j) - row.lower[1](j), std::abs(row.lower[1](j)));
          }
          result.nodes(at, j) = row.nodes(j);
          result.open(at, j) = row.open(j);
        }
        if (!row.worst.empty()) put(row.worst, data, at, result.worst);
      });
    });
  }
  if (arithmetic) {
    // What enters a tail is a box in float32; a pass through the whole network knows it better.
    const bool graph = entry != nullptr && refuses_graph(whole.network).empty();
    if (graph) grown = grown.cwiseMin(graph_in_float32(whole, false)).eval();
    const MatrixD rise = graph ? graph_in_float32(whole, true) : linear_rise(chain, boxes.rounded, entry);
    result.values.arithmetic =
        ((grown - result.values.value).cwiseMax(0.0) + rise + 0x1p-50 * result.values.value) * (1 + 0x1p-50);
    for (Index n = 0; n < images; ++n) {
      result.values.arithmetic(n, data.labels[static_cast<std::size_t>(n)]) = 0;
    }
  }
  return result;
}

}  // namespace

ExactWorst exact_worst(const Network& network, const Dataset& data, const ThreatSet& set, bool arithmetic,
                       const ExactOptions& options, const SampleDelta* start) {
  const BoundContext context{network, data, set, arithmetic, {}};
  if (refuses_linear_chain(network, set).empty()) {
    if (network.layers() == 1) return exact::one_layer(context, network, data, set, nullptr);
    return worst_of_chain(context, context, nullptr, options, start);
  }
  const DenseTail tail(network, set);
  const EntryBox entry = tail.entry(data, arithmetic);
  const Dataset tail_data = tail.data(data, entry);
  std::optional<SampleDelta> tail_start;
  if (start != nullptr) tail_start = tail.of_tail(*start);
  ExactWorst result = tail.network().layers() == 1
                          ? exact::one_layer(context, tail.network(), tail_data, tail.set(), &entry)
                          : worst_of_chain(context, {tail.network(), tail_data, tail.set(), arithmetic, {}},
                                           &entry, options, tail_start ? &*tail_start : nullptr);
  result.worst = tail.of_whole(result.worst);
  return result;
}

// Its branching knows one free number a unit, which boxes alone are worth; a moving image is a box too.
std::string refuses_exact(const Network& network, const ThreatSet& set) {
  ThreatSet still = set;
  still.input = 0;
  auto why = refuses_box(network, still);
  return why.empty() ? refuses_dense_tail(network, set) : why;
}

BoundValues exact_bound(const BoundContext& context) {
  return exact_worst(context.network, context.data, context.set, context.arithmetic,
                     exact_options(context.params))
      .values;
}

ExactOptions exact_options(const Params& params) {
  if (params.values().empty()) return {};
  return {params.real("gap"), params.integer("nodes"), params.real("seconds"), params.text("pairs") == "all"};
}

std::vector<ParamSpec> exact_params() {
  return {
      {.name = "gap",
       .type = ParamType::real,
       .initial = "1e-6",
       .help = "limit and drop attained differ by at most gap (1 + drop)",
       .least = 1e-9,
       .most = 1},
      {.name = "nodes",
       .type = ParamType::integer,
       .initial = "100000",
       .help = "subproblems a pair of classes; then the bracket reached so far",
       .least = 1,
       .most = 1e9},
      {.name = "seconds",
       .type = ParamType::real,
       .initial = "0",
       .help = "time a pair; 0: no limit. With one, results depend on the machine and its load",
       .unit = "s",
       .least = 0,
       .most = 1e9},
      {.name = "pairs",
       .type = ParamType::choice,
       .initial = "worst",
       .help = "worst: pairs of classes only as far as they can be an image's lowest margin; all: each to "
               "the gap",
       .choices = {"worst", "all"}},
  };
}

}  // namespace temblor
