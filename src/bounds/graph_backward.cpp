#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/bounds/graph_backward.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// What products below the normal range may lose.
constexpr double underflow = 1e-300;

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

/// sigma, tau with abs(z) <= sigma z + tau on limits of z, [cases x inputs].
void chords(const Interval& z, MatrixD& slope, MatrixD& height) {
  slope = MatrixD::Ones(z.lower.rows(), z.lower.cols());
  height = MatrixD::Zero(z.lower.rows(), z.lower.cols());
  for (Index i = 0; i < slope.size(); ++i) {
    const double l = z.lower.data()[i];
    const double u = z.upper.data()[i];
    if (l >= 0) continue;
    const double own = u <= 0 ? -1 : (u + l) / (u - l);
    slope.data()[i] = own;
    height.data()[i] = std::max({0.0, -l * (1 + own), u * (1 - own)}) * (1 + 0x1p-49);
  }
}

MatrixD radius_product(const MatrixD& size, const Radius& radius, Index inputs) {
  if (radius.weight.size() > 0) return size * radius.weight;
  return (radius.uniform * size.rowwise().sum()).replicate(1, inputs);
}

}  // namespace

/// Rows on their way back.
class GraphBackward::Pass {
 public:
  Pass(const GraphBackward& graph, const GraphCases& cases, std::vector<Index> at)
      : graph_(graph),
        cases_(cases),
        open_(graph.network_.nodes().size() + 1),
        at_(std::move(at)),
        constant_(VectorD::Zero(rows())),
        size_(constant_),
        best_(VectorD::Constant(rows(), -std::numeric_limits<double>::infinity())) {
    if (!graph.moves_.budget.zero()) losses_.resize(at_.size(), Largest(graph.moves_.budget.count));
  }

  VectorD run(int from, MatrixD coefficients) {
    at(from) = std::move(coefficients);
    for (int k = from; k >= -1; --k) {
      if (at(k).size() == 0) continue;
      const MatrixD a = std::move(at(k));
      at(k).resize(0, 0);
      if (!cases_.enclosures->touched(k) || k < 0) {
        settle(a, cases_.of(k));
      } else {
        step(k, a);
        close_at_last(k);
      }
    }
    note(constant_, size_);
    return best_;
  }

 private:
  Index rows() const { return static_cast<Index>(at_.size()); }
  MatrixD& at(int k) { return open_[static_cast<std::size_t>(k + 1)]; }
  MatrixD& opened(int k) {
    MatrixD& to = at(k);
    if (to.size() == 0) {
      const Index units = k < 0 ? graph_.network_.input().size() : graph_.node(k).shape.size();
      to = MatrixD::Zero(rows(), units);
    }
    return to;
  }
  Index image(Index row) const { return at_[static_cast<std::size_t>(row)]; }
  static const MatrixD& of(const std::vector<MatrixD>& nodes, int k) {
    return nodes[static_cast<std::size_t>(k)];
  }

  /// abs(a) . magnitudes, a row each.
  VectorD sizes(const MatrixD& a, const MatrixD& magnitudes) const {
    VectorD result(rows());
    for (Index row = 0; row < rows(); ++row)
      result(row) = a.row(row).cwiseAbs().dot(magnitudes.row(image(row)));
    return result;
  }

  /// The least that `a` can be on limits, with its size.
  void least(const MatrixD& a, const Interval& limits, VectorD& value, VectorD& size) const {
    value.resize(rows());
    size.resize(rows());
    for (Index row = 0; row < rows(); ++row) {
      const auto own = a.row(row).array();
      const auto l = limits.lower.row(image(row)).array();
      const auto u = limits.upper.row(image(row)).array();
      value(row) = (own.max(0.0) * l + own.min(0.0) * u).sum();
      size(row) = (own.abs() * l.abs().max(u.abs())).sum();
    }
  }

  void settle(const MatrixD& a, const Interval& limits) {
    VectorD value, size;
    least(a, limits, value, size);
    constant_ += value;
    size_ += size;
  }

  void note(const VectorD& value, const VectorD& size) {
    for (Index row = 0; row < rows(); ++row) {
      double low = value(row) - graph_.gamma_ * (size(row) + std::abs(value(row))) - underflow;
      if (!losses_.empty()) low -= losses_[static_cast<std::size_t>(row)].sum() * (1 + graph_.gamma_);
      if (low > best_(row)) best_(row) = low;
    }
  }

  /// Where one node before k is all that is left.
  void close_at_last(int k) {
    int last = -2;
    for (int j = k - 1; j >= -1; --j) {
      if (at(j).size() == 0) continue;
      if (last != -2) return;
      last = j;
    }
    if (last < 0 || !cases_.enclosures->touched(last)) return;
    VectorD value, size;
    least(at(last), cases_.of(last), value, size);
    note(constant_ + value, size_ + size);
  }

  void take(const MatrixD& a, const MatrixD& most) {
    const VectorD loss = sizes(a, most);
    constant_ -= loss;
    size_ += loss;
  }

  void step(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    size_ += sizes(a, of(cases_.size, k));
    if (of(cases_.rounding, k).size() > 0) take(a, of(cases_.rounding, k));
    const auto index = static_cast<std::size_t>(k);
    if (has_band(*node.layer)) {
      relax(a, cases_.bands[index], node.inputs.front());
    } else if (node.weights < 0) {
      pull(a, node, nullptr);
    } else if (!graph_.inputs_touched(k, *cases_.enclosures)) {
      end(k, a);
    } else if (graph_.kernels_[index]) {
      Forms next = forms(opened(node.inputs.front()));
      graph_.kernels_[index]->take(a, cases_.of(node.inputs.front()), next);
      collect(next, node.inputs.front());
    } else if (node.layer->kind() == "dense") {
      dense(k, a);
    } else {
      pull(a, node, &graph_.network_.weights(node.weights));
    }
  }

  void relax(const MatrixD& a, const Band& band, int input) {
    MatrixD& to = opened(input);
    for (Index row = 0; row < rows(); ++row) {
      const Index n = image(row);
      const auto up = a.row(row).array().max(0.0);
      const auto down = a.row(row).array().min(0.0);
      const auto offset = up * band.below_offset.row(n).array() + down * band.above_offset.row(n).array();
      constant_(row) += offset.sum();
      size_(row) += offset.abs().sum();
      const auto line = up * band.below.row(n).array() + down * band.above.row(n).array();
      if (band.cell.empty()) {
        to.row(row).array() += line;
        continue;
      }
      const Index* cells = band.cell.data() + n * a.cols();
      for (Index i = 0; i < a.cols(); ++i) to(row, cells[i]) += line(i);
    }
  }

  void pull(const MatrixD& a, const Network::Node& node, const Weights* weights) {
    std::vector<MatrixD*> inputs;
    for (const int input : node.inputs) inputs.push_back(&opened(input));
    node.layer->pull(a, weights, inputs, &constant_);
  }

  /// A layer with moving parameters on inputs that nothing touches.
  void end(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    const auto index = static_cast<std::size_t>(k);
    const int input = node.inputs.front();
    const Interval& inputs = cases_.enclosures->nominal(input);
    settle(a, cases_.enclosures->nominal(k));
    if (graph_.kernels_[index]) {
      const VectorD loss = graph_.kernels_[index]->loss_at(a, inputs, at_);
      constant_ -= loss;
      size_ += loss;
    }
    if (of(cases_.reach, k).size() > 0) take(a, of(cases_.reach, k));
    if (!graph_.moves_.touch(node.weights)) return;
    const MatrixD largest = magnitude(inputs);
    const VectorD norm = size_of(largest, graph_.moves_.biases);
    for (const auto& ball : graph_.balls_[index]) {
      const VectorD weight = ball->weight(a);
      for (Index row = 0; row < rows(); ++row) {
        const double loss = weight(row) * norm(image(row));
        constant_(row) -= loss;
        size_(row) += loss;
      }
    }
    spend(node.weights, a, largest, (inputs.lower.array() >= 0).all());
  }

  void dense(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    const int input = node.inputs.front();
    const Interval& z = cases_.of(input);
    const Weights& weights = graph_.network_.weights(node.weights);
    Forms next = forms(opened(input));
    MatrixD* to = &next.v;
    node.layer->pull(a, &weights, {&to, 1}, &next.constant);
    if (const Radius* box = graph_.box(k)) {
      const MatrixD size = a.cwiseAbs();
      const MatrixD most = radius_product(size, *box, weights.weight.cols());
      if ((z.lower.array() >= 0).all()) {
        next.v -= most;
      } else {
        MatrixD slope, height;
        chords(z, slope, height);
        for (Index row = 0; row < rows(); ++row) {
          next.v.row(row).array() -= most.row(row).array() * slope.row(image(row)).array();
          const double loss = most.row(row).dot(height.row(image(row)));
          next.constant(row) -= loss;
          next.size(row) += loss;
        }
      }
      VectorD slack;
      if (box->bias.size() > 0) slack = size * box->bias;
      if (box->bias.size() == 0) slack = box->bias_uniform * size.rowwise().sum();
      next.constant -= slack;
      next.size += slack;
    }
    for (const auto& ball : graph_.balls_[static_cast<std::size_t>(k)]) ball->take(a, &z, next);
    collect(next, input);
    if (graph_.moves_.touch(node.weights)) {
      spend(node.weights, a, magnitude(z), (z.lower.array() >= 0).all());
    }
  }

  void spend(int layer, const MatrixD& a, const MatrixD& largest, bool signs) {
    if (!losses_.empty()) budget_losses(graph_.moves_, layer, a, largest, signs, at_, losses_);
  }

  /// What a layer adds to, and takes its constants from.
  Forms forms(MatrixD& on_inputs) const {
    Forms next;
    next.v = std::move(on_inputs);
    next.constant = VectorD::Zero(rows());
    next.size = next.constant;
    next.at = at_;
    return next;
  }
  void collect(Forms& next, int input) {
    at(input) = std::move(next.v);
    constant_ += next.constant;
    size_ += next.size;
  }

  const GraphBackward& graph_;
  const GraphCases& cases_;
  std::vector<MatrixD> open_;  ///< of the image, then of every node: coefficients on its outputs
  std::vector<Index> at_;
  VectorD constant_;
  VectorD size_;
  VectorD best_;
  std::vector<Largest> losses_;
};

GraphBackward::GraphBackward(const BoxProblem& problem)
    : network_(problem.network), radius_(problem.radius), moves_(problem.moves) {
  const auto nodes = network_.nodes().size();
  kernels_.resize(nodes);
  alone_.resize(nodes);
  balls_.resize(nodes);
  kinks_.resize(nodes);
  Index widest = network_.input().size();
  Index terms = 0;
  for (std::size_t i = 0; i < nodes; ++i) {
    const int k = static_cast<int>(i);
    const auto& own = node(k);
    widest = std::max(widest, own.shape.size());
    if (own.inputs.front() >= 0) {
      auto& kinks = kinks_[static_cast<std::size_t>(own.inputs.front())];
      for (const double kink : kinks_of(*own.layer)) kinks.push_back(kink);
    }
    if (own.weights < 0) continue;
    const auto m = static_cast<std::size_t>(own.weights);
    const Weights& weights = network_.weights(own.weights);
    if (SharedKernel::covers(*own.layer)) {
      const auto* shared = problem.shared == nullptr ? nullptr : &(*problem.shared)[m];
      const auto& box = shared == nullptr ? radius_[m] : *shared;
      kernels_[i].emplace(own, input_shape(k), weights, box ? &*box : nullptr);
      if (shared != nullptr) alone_[i] = beyond(radius_[m], *shared, weights);
      terms = std::max(terms, kernels_[i]->terms());
    } else {
      terms = std::max(terms, weights.weight.rows() + weights.weight.cols());
    }
    if (moves_.l2_of(own.weights) > 0 || moves_.row_of(own.weights) > 0) {
      balls_[i].push_back(std::make_shared<NormAdversary>(weights.weight.rows(), moves_.l2_of(own.weights),
                                                          moves_.row_of(own.weights), moves_.biases));
    }
  }
  rows_ = std::clamp<Index>((Index{1} << 21) / widest, 32, 2048);
  gamma_ = gamma64(8 * (terms + widest + static_cast<Index>(nodes)) + 4096);
}

const Shape& GraphBackward::input_shape(int k) const {
  const int input = node(k).inputs.front();
  return input < 0 ? network_.input() : node(input).shape;
}

const Radius* GraphBackward::box(int k) const {
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
  for (int k = 0; k < static_cast<int>(nodes); ++k) {
    if (!enclosures.touched(k)) continue;
    const auto i = static_cast<std::size_t>(k);
    const auto& own = node(k);
    cases.limits[i] = enclosures.moved(k);
    cases.rounding[i] = enclosures.rounding(k);
    if (own.weights < 0) {
      std::vector<MatrixD> sizes;
      for (const int input : own.inputs) sizes.push_back(magnitude(cases.of(input)));
      if (own.layer->affine()) {
        cases.size[i] = affine_size(*own.layer, sizes);
      } else {
        const Interval box{sizes.front(), sizes.front()};
        const Interval* in = &box;
        Interval out;
        own.layer->interval({&in, 1}, nullptr, nullptr, out);
        cases.size[i] = 4 * magnitude(out);
        if (own.layer->kind() != "max-pool") cases.size[i] += 4 * sizes.front();
      }
      draw(k, cases);
      continue;
    }
    const MatrixD z = magnitude(cases.of(own.inputs.front()));
    const Weights& weights = network_.weights(own.weights);
    const Weights sizes{weights.weight.cwiseAbs(), weights.bias.cwiseAbs()};
    const Interval box{z, z};
    const Interval* in = &box;
    Interval out;
    own.layer->interval({&in, 1}, &sizes, nullptr, out);
    cases.size[i] = out.upper;
    if (const Radius* radius = this->box(k)) {
      MatrixD reach;
      own.layer->reach(z, weights, *radius, reach);
      cases.size[i] += 2 * reach;
      if (!kernels_[i] && !inputs_touched(k, enclosures)) cases.reach[i] = std::move(reach);
    }
    if (alone_[i]) own.layer->reach(z, weights, *alone_[i], cases.rounding[i]);
  }
  return cases;
}

void GraphBackward::draw(int k, GraphCases& cases) const {
  const auto& own = node(k);
  if (!has_band(*own.layer)) return;
  cases.bands[static_cast<std::size_t>(k)] =
      enclosing_band(*own.layer, input_shape(k), cases.of(own.inputs.front()));
}

VectorD GraphBackward::minimum(int node, MatrixD coefficients, std::vector<Index> at,
                               const GraphCases& cases) const {
  const Index rows = coefficients.rows();
  if (rows <= rows_) return Pass(*this, cases, std::move(at)).run(node, std::move(coefficients));
  VectorD low(rows);
  for (Index begin = 0; begin < rows; begin += rows_) {
    const Index count = std::min(rows_, rows - begin);
    const auto from = at.begin() + static_cast<std::ptrdiff_t>(begin);
    low.segment(begin, count) = minimum(node, coefficients.middleRows(begin, count),
                                        {from, from + static_cast<std::ptrdiff_t>(count)}, cases);
  }
  return low;
}

void GraphBackward::tighten(GraphCases& cases, double work) const {
  for (int k = 0; k < static_cast<int>(network_.nodes().size()); ++k) {
    if (!cases.enclosures->touched(k) || !inputs_touched(k, *cases.enclosures)) continue;
    refresh(k, cases);
    if (!kinks_[static_cast<std::size_t>(k)].empty()) tighten_units(k, work, cases);
    draw(k, cases);
  }
}

// What tighter limits of its inputs make of a node's.
void GraphBackward::refresh(int k, GraphCases& cases) const {
  const auto& own = node(k);
  if (own.weights >= 0 && moves_.touch(own.weights)) return;
  std::vector<const Interval*> in;
  for (const int input : own.inputs) in.push_back(&cases.of(input));
  Interval out;
  own.layer->interval(in, own.weights < 0 ? nullptr : &network_.weights(own.weights), box(k), out);
  const MatrixD& rounding = cases.enclosures->rounding(k);
  if (rounding.size() > 0) {
    const MatrixD by = rounding + magnitude(out) * 0x1p-52;
    out.lower -= by;
    out.upper += by;
  }
  Interval& limits = cases.limits[static_cast<std::size_t>(k)];
  limits.lower = limits.lower.cwiseMax(out.lower);
  limits.upper = limits.upper.cwiseMin(out.upper);
}

void GraphBackward::tighten_units(int k, double work, GraphCases& cases) const {
  const auto& kinks = kinks_[static_cast<std::size_t>(k)];
  Interval& limits = cases.limits[static_cast<std::size_t>(k)];
  const Index units = limits.lower.cols();
  std::vector<Index> image, unit;
  const double row = cost(k);
  for (Index n = 0; n < limits.lower.rows(); ++n) {
    const auto open = [&](Index i) {
      return std::any_of(kinks.begin(), kinks.end(),
                         [&](double kink) { return limits.lower(n, i) < kink && limits.upper(n, i) > kink; });
    };
    Index count = 0;
    for (Index i = 0; i < units; ++i) count += open(i) ? 1 : 0;
    if (2 * static_cast<double>(count) * row > work) continue;
    for (Index i = 0; i < units; ++i) {
      if (!open(i)) continue;
      image.push_back(n);
      unit.push_back(i);
    }
  }
  const auto total = static_cast<Index>(image.size());
  const Index chunk = std::max<Index>(1, rows_ / 2);
  for (Index begin = 0; begin < total; begin += chunk) {
    const Index count = std::min(chunk, total - begin);
    MatrixD rows = MatrixD::Zero(2 * count, units);
    std::vector<Index> at(static_cast<std::size_t>(2 * count));
    for (Index i = 0; i < 2 * count; ++i) {
      const auto from = static_cast<std::size_t>(begin + i / 2);
      rows(i, unit[from]) = i % 2 == 0 ? 1 : -1;
      at[static_cast<std::size_t>(i)] = image[from];
    }
    const VectorD low = minimum(k, std::move(rows), std::move(at), cases);
    for (Index i = 0; i < count; ++i) {
      const auto from = static_cast<std::size_t>(begin + i);
      double& lower = limits.lower(image[from], unit[from]);
      double& upper = limits.upper(image[from], unit[from]);
      lower = std::max(lower, low(2 * i));
      upper = std::min(upper, -low(2 * i + 1));
    }
  }
}

// Multiplications and additions of one row from this node back.
double GraphBackward::cost(int k) const {
  std::vector<bool> reached(network_.nodes().size(), false);
  reached[static_cast<std::size_t>(k)] = true;
  double sum = 0;
  for (int j = k; j >= 0; --j) {
    if (!reached[static_cast<std::size_t>(j)]) continue;
    const auto& own = node(j);
    for (const int input : own.inputs)
      if (input >= 0) reached[static_cast<std::size_t>(input)] = true;
    const auto units = static_cast<double>(own.shape.size());
    if (own.weights < 0) {
      sum += 2 * units;
    } else {
      sum += units * static_cast<double>(network_.weights(own.weights).weight.cols());
    }
  }
  return sum;
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
