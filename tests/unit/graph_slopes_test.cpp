#include <cmath>
#include <map>

#include <catch2/catch.hpp>
#include <support/graphs.hpp>

#include <temblor/bounds/graph_backward.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A small graph with the activation in place of every relu.
Network with_activation(const Network& from, const std::string& kind, const LayerOptions& options) {
  Network network(from.input(), {});
  for (const auto& node : from.nodes()) {
    const Weights weights = node.weights < 0 ? Weights{} : from.weights(node.weights);
    const bool other = node.layer->kind() == "relu";
    network.add(other ? make_layer(kind, options) : make_layer(node.layer->kind(), node.layer->options()),
                weights, node.inputs, node.name);
  }
  return network;
}

struct Setting {
  Network network;
  Dataset data;
  ThreatSet set;
  BoxProblem problem;
  GraphBackward backward;
  Enclosures enclosures;
  GraphCases cases;
  MatrixD coefficients;
  std::vector<Index> at;

  Setting(Network graph, ThreatSet threat, Stream& stream, const Moves& moves = {})
      : network(std::move(graph)),
        data(graph_images(network, 3, true, stream)),
        set(std::move(threat)),
        problem{network, data, set.radius, false, false, moves},
        backward(problem),
        enclosures(problem, 0, data.size(), last() + 1),
        cases(backward.cases(enclosures)) {
    backward.tighten(cases, 1e12);
    coefficients = MatrixD::Zero(2 * data.size(), network.classes());
    for (Index row = 0; row < coefficients.rows(); ++row) {
      coefficients(row, row % network.classes()) = 1;
      coefficients(row, (row + 1) % network.classes()) = -1;
      at.push_back(row / 2);
    }
  }
  int last() const { return static_cast<int>(network.nodes().size()) - 1; }
  VectorD minimum(const RowBands& bands, GraphTrace* trace = nullptr) const {
    return backward.minimum(last(), coefficients, at, cases, bands, trace);
  }
  const Layer& layer(std::size_t k) const { return *network.nodes()[k].layer; }
  const Interval& inputs(std::size_t k) const { return cases.of(network.nodes()[k].inputs.front()); }

  /// Bands of the rows, each free slope drawn at random, with the lines' exact offsets.
  RowBands random_bands(Stream& stream) const {
    RowBands bands(network.nodes().size());
    for (std::size_t k = 0; k < bands.size(); ++k) {
      if (kinks_of(layer(k)).empty() || cases.bands[k].below.size() == 0) continue;
      const Band& shared = cases.bands[k];
      Band& own = bands[k];
      own.below = shared.below(at, Eigen::all);
      own.below_offset = shared.below_offset(at, Eigen::all);
      own.above = shared.above(at, Eigen::all);
      own.above_offset = shared.above_offset(at, Eigen::all);
      for (Index row = 0; row < own.below.rows(); ++row) {
        const FreeBand free = free_band(layer(k), inputs(k), at[static_cast<std::size_t>(row)]);
        draw(free.below, row, stream, own.below, own.below_offset);
        draw(free.above, row, stream, own.above, own.above_offset);
      }
    }
    return bands;
  }
  static void draw(const FreeLines& lines, Index row, Stream& stream, MatrixD& slope, MatrixD& offset) {
    for (Index i = 0; i < lines.least.size(); ++i) {
      if (!(lines.most(i) > lines.least(i))) continue;
      slope(row, i) = lines.least(i) + (lines.most(i) - lines.least(i)) * (0.1 + 0.8 * stream.uniform());
      offset(row, i) = lines.value - slope(row, i) * lines.pivot;
    }
  }
};

/// Compares the derivative by each free slope with differences. How many were not 0.
int check_slopes(const Setting& s, Stream& stream) {
  RowBands bands = s.random_bands(stream);
  GraphTrace trace;
  const VectorD low = s.minimum(bands, &trace);
  const auto outputs = s.backward.minimiser(s.last(), trace, s.at, s.cases, bands);
  int compared = 0;
  for (std::size_t k = 0; k < bands.size(); ++k) {
    if (bands[k].below.size() == 0 || trace.coefficients[k + 1].size() == 0) continue;
    const MatrixD& input = outputs[static_cast<std::size_t>(s.network.nodes()[k].inputs.front() + 1)];
    for (const bool below : {true, false}) {
      for (Index i = 0; i < input.cols(); ++i) {
        const auto moved = [&](double h) {
          RowBands other = bands;
          for (Index row = 0; row < input.rows(); ++row) {
            const FreeBand free = free_band(s.layer(k), s.inputs(k), s.at[static_cast<std::size_t>(row)]);
            const FreeLines& lines = below ? free.below : free.above;
            if (lines.least.size() == 0 || !(lines.most(i) > lines.least(i))) continue;
            (below ? other[k].below : other[k].above)(row, i) += h;
            (below ? other[k].below_offset : other[k].above_offset)(row, i) -= h * lines.pivot;
          }
          return s.minimum(other);
        };
        const double h = 1e-6;
        const VectorD up = moved(h);
        const VectorD down = moved(-h);
        for (Index row = 0; row < low.size(); ++row) {
          const FreeBand free = free_band(s.layer(k), s.inputs(k), s.at[static_cast<std::size_t>(row)]);
          const FreeLines& lines = below ? free.below : free.above;
          if (lines.least.size() == 0 || !(lines.most(i) > lines.least(i))) continue;
          // In front of the node where the best value was found, slopes change nothing.
          if (static_cast<int>(k) <= trace.closed[static_cast<std::size_t>(row)]) continue;
          if (std::abs((up(row) - low(row)) - (low(row) - down(row))) > 1e-4 * h) continue;  // a kink
          const double a = trace.coefficients[k + 1](row, i);
          const double part = below ? std::max(a, 0.0) : std::min(a, 0.0);
          const double expected = part * (input(row, i) - lines.pivot);
          INFO("node " << k << " unit " << i << " row " << row << (below ? " below" : " above"));
          CHECK((up(row) - down(row)) / (2 * h) == Approx(expected).margin(2e-6).epsilon(2e-5));
          compared += expected != 0;
        }
      }
    }
  }
  return compared;
}

}  // namespace

TEST_CASE("the minimiser on a graph is the derivative by the slopes of free lines") {
  std::map<std::string, int> compared;
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    for (std::uint32_t t = 0; t < 4; ++t) {
      Stream stream(51, {static_cast<std::uint32_t>(g), t});
      const Network graph = small_graph(graph_names()[g], stream);
      INFO(graph_names()[g] << ", draw " << t);
      const auto all = parse_layers("all", graph);
      compared["relu"] += check_slopes({graph, linf_set(graph, 0.02, all, t % 2 == 0), stream}, stream);
      const Network leaky = with_activation(graph, "leaky-relu", {{"slope", {0.125}}});
      compared["leaky-relu"] += check_slopes({leaky, relative_set(leaky, 0.05, all, true), stream}, stream);
      const Network clip = with_activation(graph, "clip", {{"low", {-0.25}}, {"high", {0.5}}});
      compared["clip"] += check_slopes({clip, linf_set(clip, 0.02, all, t % 2 == 0), stream}, stream);
      const auto moving = with_input(linf_set(graph, 0.01, all, true), 0.05);
      compared["image"] += check_slopes({graph, moving, stream, moves_of(moving, graph)}, stream);
    }
  }
  for (const auto& [what, count] : compared) {
    INFO(what << ": " << count);
    CHECK(count > 200);
  }
}

TEST_CASE("l2 balls around layers are in the minimiser on a graph") {
  int compared = 0;
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(52, {t});
    const Network graph = small_graph("pool", stream);
    const LayerSet layers = t % 4 < 2 ? LayerSet{2, 3} : LayerSet{0, 1, 3};
    const double radius = t % 4 < 2 ? 1 : 0.1;
    const auto set = t % 2 == 0 ? l2_set(graph, radius, layers) : l2_row_set(graph, radius, layers);
    compared += check_slopes({graph, set, stream, moves_of(set, graph)}, stream);
  }
  CHECK(compared > 20);
}

TEST_CASE("free lines enclose their activation") {
  Stream stream(53, {});
  int free_lines = 0;
  for (const auto& [kind, options] : std::vector<std::pair<std::string, LayerOptions>>{
           {"relu", {}}, {"leaky-relu", {{"slope", {0.2}}}}, {"clip", {{"low", {-0.5}}, {"high", {1.0}}}}}) {
    const auto layer = make_layer(kind, options);
    for (int t = 0; t < 300; ++t) {
      const double l = 4 * stream.uniform() - 2;
      const double u = l + 3 * stream.uniform();
      const Interval limits{MatrixD::Constant(1, 1, l), MatrixD::Constant(1, 1, u)};
      const FreeBand band = free_band(*layer, limits, 0);
      for (const bool below : {true, false}) {
        const FreeLines& lines = below ? band.below : band.above;
        if (lines.least.size() == 0 || !(lines.most(0) > lines.least(0))) continue;
        ++free_lines;
        for (const double place : {0.0, 0.3, 1.0}) {
          const double slope = lines.least(0) + place * (lines.most(0) - lines.least(0));
          for (int p = 0; p <= 20; ++p) {
            const double x = l + (u - l) * p / 20;
            Matrix value(1, 1);
            const Matrix in = Matrix::Constant(1, 1, static_cast<float>(x));
            const Matrix* from = &in;
            layer->forward({&from, 1}, nullptr, value);
            const double line = lines.value + slope * (x - lines.pivot);
            if (below) CHECK(line <= value(0, 0) + 1e-6);
            if (!below) CHECK(line >= value(0, 0) - 1e-6);
          }
        }
      }
    }
  }
  CHECK(free_lines > 200);
}

TEST_CASE("seeking slopes never loses, and with one step changes nothing") {
  double gain = 0;
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    Stream stream(54, {static_cast<std::uint32_t>(g)});
    const Network graph = small_graph(graph_names()[g], stream);
    const Setting s(graph, linf_set(graph, 0.03, parse_layers("all", graph), true), stream);
    const VectorD own = s.backward.minimum(s.last(), s.coefficients, s.at, s.cases);
    CHECK(s.backward.best_minimum(s.last(), s.coefficients, s.at, s.cases, {1}) == own);
    const VectorD few = s.backward.best_minimum(s.last(), s.coefficients, s.at, s.cases, {5});
    const VectorD many = s.backward.best_minimum(s.last(), s.coefficients, s.at, s.cases, {40});
    CHECK((few - own).minCoeff() >= 0);
    CHECK((many - own).minCoeff() >= 0);
    CHECK(many.sum() >= few.sum() - 1e-3 * (1 + std::abs(few.sum())));
    gain = std::max(gain, (many - own).maxCoeff());
  }
  CHECK(gain > 0.01);
}

TEST_CASE("the worst outputs of a shared kernel are the derivative of what its box and balls take") {
  Stream stream(55, {});
  for (int t = 0; t < 6; ++t) {
    const bool biases = t % 2 == 1;
    GraphBuilder build({{2, 4, 4}}, stream);
    build.convolution(4, {{"kernel", {3, 2}}, {"padding", {1, 0, 1, 1}}, {"groups", {2}}});
    const auto& node = build.network().nodes().front();
    const Weights& weights = build.network().weights(0);
    Radius radius;
    radius.uniform = 0.1;
    if (biases) radius.bias_uniform = 0.05;
    Moves moves;
    moves.biases = biases;
    if (t / 2 == 1) moves.l2 = {0.3};
    if (t / 2 == 2) moves.row = {0.2};
    const SharedKernel kernel(node, {{2, 4, 4}}, weights, &radius, moves);
    std::vector<Largest> none;
    MatrixD a(2, node.shape.size()), z(2, 32);
    Interval limits{MatrixD(2, 32), MatrixD(2, 32)};
    for (Index i = 0; i < a.size(); ++i) a.data()[i] = i % 4 == 0 ? 0 : stream.normal();
    for (Index i = 0; i < z.size(); ++i) {
      limits.lower.data()[i] = i % 3 == 0 ? 0 : stream.normal() - 0.5;
      limits.upper.data()[i] = limits.lower.data()[i] + stream.uniform();
      z.data()[i] = limits.lower.data()[i] + 0.3;
    }
    const std::vector<Index> at{1, 0};
    const auto value = [&](const MatrixD& on) {
      Forms next(2, 32);
      next.v.setZero();
      next.at = at;
      kernel.take(on, limits, {}, next, none);
      return VectorD(next.constant + next.v.cwiseProduct(z).rowwise().sum());
    };
    MatrixD p;
    kernel.worst(a, z, limits, at, p);
    for (Index i = 0; i < a.cols(); ++i) {
      MatrixD up = a;
      MatrixD down = a;
      up.col(i).array() += 1e-6;
      down.col(i).array() -= 1e-6;
      const VectorD slope = (value(up) - value(down)) / 2e-6;
      for (Index row = 0; row < 2; ++row)
        if (a(row, i) != 0) CHECK(slope(row) == Approx(p(row, i)).epsilon(1e-6).margin(1e-7));
    }
  }
}
