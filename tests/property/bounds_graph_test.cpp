#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/graphs.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/graph_backward.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

BoundValues values_of(const std::string& bound, const Network& network, const Dataset& data,
                      const ThreatSet& set, bool arithmetic = false, const BoundParams& params = {}) {
  const auto& entry = find_bound(bound);
  REQUIRE(entry.refuses(network, set) == "");
  return entry.compute({network, data, set, arithmetic, checked_params(entry, params)});
}

/// Radii that differ from weight to weight, a third of them 0.
ThreatSet uneven(const Network& network, double severity, const LayerSet& layers) {
  std::vector<std::optional<Radius>> radius(static_cast<std::size_t>(network.layers()));
  for (const int m : layers) {
    const auto& weights = network.weights(m);
    Radius box;
    box.weight.resize(weights.weight.rows(), weights.weight.cols());
    for (Index i = 0; i < box.weight.size(); ++i)
      box.weight.data()[i] = severity * static_cast<double>((i * 7 + 2) % 3) / 2;
    box.bias = VectorD::Constant(weights.bias.size(), severity / 3);
    radius[static_cast<std::size_t>(m)] = std::move(box);
  }
  return box_set(network, severity, std::move(radius), "box");
}

ThreatSet some_set(const Network& network, Stream& stream) {
  const LayerSet layers = some_layers(network, stream);
  const double severity = std::pow(10.0, -3.5 + 3 * stream.uniform());
  const bool biases = stream.below(2) == 1;
  switch (stream.below(4)) {
    case 0:
      return linf_set(network, severity, layers, biases);
    case 1:
      return relative_set(network, severity, layers, biases);
    case 2:
      return uneven(network, severity, layers);
    default:
      return with_input(linf_set(network, severity, layers, biases), severity / 2);
  }
}

const std::vector<std::string> graph_bounds{"norm-product", "norm-vector", "interval",
                                            "linear-fast",  "linear",      "linear-alpha"};

}  // namespace

TEST_CASE("no bound on a graph is below a drop that a member of the set has") {
  double tightest = 0;
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    for (std::uint32_t t = 0; t < 10; ++t) {
      Stream stream(91, {static_cast<std::uint32_t>(g), t});
      const Network network = small_graph(graph_names()[g], stream);
      const Dataset data = graph_images(network, 3, stream.below(2) == 1, stream);
      const ThreatSet set = some_set(network, stream);
      const MatrixD reached = reached_drops(network, data, set, 3, stream);
      for (const auto& bound : graph_bounds) {
        const MatrixD value = values_of(bound, network, data, set).value;
        INFO(bound << " on '" << graph_names()[g] << "', " << set.key << ", draw " << t);
        CHECK((value - reached).minCoeff() >= 0);
        tightest = std::max(tightest, (reached.array() / (value.array() + 1e-300)).maxCoeff());
      }
    }
  }
  CHECK(tightest > 0.9);
}

TEST_CASE("on a graph, no bound is above the cheaper one of its kind") {
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    Stream stream(92, {static_cast<std::uint32_t>(g)});
    const Network network = small_graph(graph_names()[g], stream);
    const Dataset data = graph_images(network, 4, true, stream);
    const ThreatSet set = some_set(network, stream);
    const auto never_above = [&](const std::string& tight, const std::string& loose) {
      const MatrixD low = values_of(tight, network, data, set).value;
      const MatrixD high = values_of(loose, network, data, set).value;
      INFO(tight << " and " << loose << " on '" << graph_names()[g] << "'");
      CHECK((high.array() * (1 + 1e-12) - low.array()).minCoeff() >= 0);
      CHECK(low.maxCoeff() > 0);
    };
    never_above("norm-vector", "norm-product");
    never_above("linear-fast", "interval");
    never_above("linear", "linear-fast");
    never_above("linear-alpha", "linear");
  }
}

TEST_CASE("on small networks the linear bound is below interval, and interval below the norm product") {
  for (const std::string name : {"pool", "residual", "joined"}) {
    Stream stream(94, {});
    const Network network = small_graph(name, stream);
    const Dataset data = graph_images(network, 10, false, stream);
    const ThreatSet set = linf_set(network, 0.003, parse_layers("all", network), true);
    const double linear = values_of("linear", network, data, set).value.sum();
    const double interval = values_of("interval", network, data, set).value.sum();
    const double product = values_of("norm-product", network, data, set).value.sum();
    INFO(name << ": linear " << linear << ", interval " << interval << ", norm-product " << product);
    CHECK(linear < 0.7 * interval);
    CHECK(interval < 0.7 * product);
  }
}

TEST_CASE("rows that may stop early stop where their limit is enough; the others are as they would be") {
  int stopped = 0;
  int unlike = 0;
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    Stream stream(97, {static_cast<std::uint32_t>(g)});
    const Network network = small_graph(graph_names()[g], stream);
    const Dataset data = graph_images(network, 4, true, stream);
    const ThreatSet set = linf_set(network, 0.01, parse_layers("all", network), true);
    const BoxProblem problem{network, data, set.radius};
    const GraphBackward backward(problem);
    const int nodes = static_cast<int>(network.nodes().size());
    const Enclosures enclosures(problem, 0, data.size(), nodes);
    const GraphCases cases = backward.cases(enclosures);
    const Index rows = data.size() * network.classes();
    MatrixD coefficients = MatrixD::Zero(rows, network.classes());
    std::vector<Index> at;
    for (Index row = 0; row < rows; ++row) {
      coefficients(row, row % network.classes()) = 1;
      at.push_back(row / network.classes());
    }
    const VectorD whole = backward.minimum(nodes - 1, coefficients, at, cases);
    Effort effort;
    effort.cost.assign(static_cast<std::size_t>(nodes), 1.0);
    effort.enough.resize(rows);
    for (Index row = 0; row < rows; ++row) effort.enough(row) = whole(row) + stream.normal();
    const VectorD enough = effort.enough;
    const VectorD low = backward.minimum(nodes - 1, coefficients, at, cases, &effort);
    CHECK(effort.spent <= static_cast<double>(nodes * rows));
    for (Index row = 0; row < rows; ++row) {
      CHECK(low(row) <= whole(row) + 1e-12);
      if (low(row) >= enough(row)) {
        ++stopped;
        unlike += low(row) < whole(row) - 1e-12;
      } else {
        CHECK(low(row) == Approx(whole(row)).epsilon(1e-12));
      }
    }
  }
  CHECK(stopped > 20);
  CHECK(unlike > 0);
}

TEST_CASE("linear spends no more work than it may, and none leaves linear-fast") {
  double gain = 0;
  for (const std::string name : {"residual", "joined", "image"}) {
    Stream stream(98, {});
    const Network network = small_graph(name, stream);
    const Dataset data = graph_images(network, 4, true, stream);
    const ThreatSet set = linf_set(network, 0.01, parse_layers("all", network), true);
    const MatrixD fast = values_of("linear-fast", network, data, set).value;
    const MatrixD none = values_of("linear", network, data, set, false, {{"linear", {{"work", "0"}}}}).value;
    const MatrixD some =
        values_of("linear", network, data, set, false, {{"linear", {{"work", "1e4"}}}}).value;
    const MatrixD all = values_of("linear", network, data, set).value;
    CHECK((fast - none).cwiseAbs().maxCoeff() <= 1e-12);
    CHECK(some.sum() <= fast.sum());
    CHECK(all.sum() <= some.sum() * (1 + 1e-9));
    gain = std::max(gain, fast.sum() - all.sum());
  }
  CHECK(gain > 1e-3);
}

// Two positions whose differences are read: what the one kernel adds to both cancels.
TEST_CASE("what a shared kernel does at two positions is bounded together") {
  const LayerOptions one{{"kernel", {1, 1}}};
  Network network({{1, 1, 2}}, {});
  network.add(make_layer("conv2d", one), {Matrix::Constant(1, 1, 2.0F), Vector()});
  Matrix rows(2, 2);
  rows << 1.0F, -1.0F, 0.0F, 0.0F;
  network.add(make_layer("dense"), {rows, Vector()});
  Dataset data;
  data.shape = network.input();
  data.classes = 2;
  data.images.resize(1, 2);
  data.images << 1.0F, 0.75F;
  data.labels = {0};
  data.index = {0};
  const double eps = 0.125;
  const ThreatSet set = linf_set(network, eps, {0}, false);
  // f = w (1 - 0.75): the worst w takes eps / 4 off, two kernels of their own would take 1.75 eps.
  CHECK(values_of("linear", network, data, set).value(0, 1) == Approx(0.25 * eps).epsilon(1e-9));
  CHECK(values_of("interval", network, data, set).value(0, 1) == Approx(1.75 * eps).epsilon(1e-12));

  // The same one layer further on, where the inputs move, too, and no form can change its sign.
  Network deeper({{1, 1, 2}}, {});
  deeper.add(make_layer("conv2d", one), {Matrix::Constant(1, 1, 2.0F), Vector()});
  deeper.add(make_layer("relu"));
  deeper.add(make_layer("conv2d", one), {Matrix::Constant(1, 1, 1.0F), Vector()});
  rows << 4.0F, -1.0F, 0.0F, 0.0F;
  deeper.add(make_layer("dense"), {rows, Vector()});
  // f = v w (4 - 0.75), v in [0.875, 1.125], w in [1.875, 2.125].
  const ThreatSet both = linf_set(deeper, eps, {0, 1}, false);
  const double exact = 3.25 * (2 - 0.875 * 1.875);
  CHECK(values_of("linear", deeper, data, both).value(0, 1) == Approx(exact).epsilon(1e-9));
  CHECK(values_of("interval", deeper, data, both).value(0, 1) > 1.2 * exact);
}

TEST_CASE("on graphs with open units, linear-alpha gains on linear, and its steps and work count") {
  for (const std::string name : {"residual", "image"}) {
    double linear = 0;
    double alpha = 0;
    for (std::uint32_t t = 0; t < 4; ++t) {
      Stream stream(99, {t});
      const Network network = small_graph(name, stream);
      const Dataset data = graph_images(network, 4, true, stream);
      const ThreatSet set = linf_set(network, 0.03, parse_layers("all", network), true);
      const auto with = [&](const std::string& steps, const std::string& work) {
        return values_of("linear-alpha", network, data, set, false,
                         {{"linear-alpha", {{"steps", steps}, {"work", work}}}})
            .value;
      };
      const MatrixD plain = values_of("linear", network, data, set).value;
      linear += plain.sum();
      alpha += with("30", "1e10").sum();
      CHECK((with("1", "1e10") - plain).maxCoeff() <= 1e-9);
      const MatrixD hasty =
          values_of("linear", network, data, set, false, {{"linear", {{"work", "0"}}}}).value;
      CHECK((with("10", "0") - hasty).maxCoeff() <= 0);
    }
    INFO(name << ": linear " << linear << ", linear-alpha " << alpha);
    CHECK(alpha < 0.998 * linear);
  }
}

TEST_CASE("bounds that need a chain of dense layers say which layer is not one") {
  Stream stream(95, {});
  const Network network = small_graph("pool", stream);
  const ThreatSet set = linf_set(network, 0.01, parse_layers("all", network), false);
  for (const std::string bound : {"exact", "universal"}) {
    INFO(bound);
    CHECK_THAT(find_bound(bound).refuses(network, set), Catch::Contains("conv2d0"));
  }
  const ThreatSet k = k_weights_set(network, 2, 0.01, {2}, false);
  CHECK_THAT(find_bound("norm-product").refuses(network, k), Catch::Contains("conv2d0"));
  for (const ThreatSet& ball : {l2_set(network, 0.01, {0}), l2_row_set(network, 0.01, {0})}) {
    for (const auto& entry : bound_table()) {
      INFO(entry.name << " against " << ball.key);
      const bool graphs = std::count(graph_bounds.begin(), graph_bounds.end(), entry.name) > 0;
      CHECK((entry.refuses(network, ball) == "") == graphs);
    }
  }
}

TEST_CASE("balls and budgets around the dense layers of a graph are bounded") {
  for (std::uint32_t t = 0; t < 5; ++t) {
    Stream stream(96, {t});
    const Network network = small_graph("pool", stream);
    const Dataset data = graph_images(network, 3, true, stream);
    const LayerSet dense{2, 3};
    for (const ThreatSet& set : {l2_set(network, 0.1, dense), l2_row_set(network, 0.1, dense),
                                 k_weights_set(network, 2, 0.25, dense)}) {
      // Members: single weights of either layer, moved as far as any of these sets lets them.
      const double most = set.ball == Ball::k_weights ? 0.25 : 0.1;
      const double interval = values_of("interval", network, data, set).value.sum();
      const MatrixD linear = values_of("linear", network, data, set).value;
      CHECK(linear.sum() <= interval * (1 + 1e-12));
      for (const int m : dense) {
        ThreatSet one = linf_set(network, 0, {m}, false);
        for (int draw = 0; draw < 20; ++draw) {
          const auto& own = network.weights(m);
          Radius radius;
          radius.weight = MatrixD::Zero(own.weight.rows(), own.weight.cols());
          radius.weight.data()[stream.below(static_cast<std::uint64_t>(own.weight.size()))] = most;
          one.radius[static_cast<std::size_t>(m)] = radius;
          CHECK((linear - reached_drops(network, data, one, 1, stream)).minCoeff() >= 0);
        }
      }
    }
  }
}

TEST_CASE("the arithmetic part of a bound covers float32 evaluation of a graph") {
  double largest = 0;
  for (std::size_t g = 0; g < graph_names().size(); ++g) {
    Stream stream(93, {static_cast<std::uint32_t>(g)});
    const Network network = small_graph(graph_names()[g], stream);
    const Dataset data = graph_images(network, 20, true, stream);
    // So small a box that rounding is what counts.
    const ThreatSet set = linf_set(network, 3e-8, parse_layers("all", network), true);
    const MatrixD before = logits(network, network.view(), data.images).cast<double>();
    std::vector<BoundValues> bounds;
    for (const auto& bound : graph_bounds) bounds.push_back(values_of(bound, network, data, set, true));
    for (int t = 0; t < 20; ++t) {
      std::vector<Weights> corner;
      for (int m = 0; m < network.layers(); ++m) {
        const auto& own = network.weights(m);
        const auto sign = [&](float) { return stream.below(2) == 1 ? 1.0F : -1.0F; };
        corner.push_back({own.weight.unaryExpr(sign), own.bias.unaryExpr(sign)});
      }
      const Network moved = box_member(network, set, corner);
      const MatrixD after = logits(moved, moved.view(), data.images).cast<double>();
      for (Index n = 0; n < data.size(); ++n) {
        const Index y = data.labels[static_cast<std::size_t>(n)];
        for (Index j = 0; j < network.classes(); ++j) {
          if (j == y) continue;
          const double drop = before(n, y) - before(n, j) - (after(n, y) - after(n, j));
          for (std::size_t b = 0; b < bounds.size(); ++b) {
            INFO(graph_bounds[b] << " on '" << graph_names()[g] << "'");
            CHECK(drop <= bounds[b].value(n, j) + bounds[b].arithmetic(n, j));
            largest = std::max(largest, drop / bounds[b].value(n, j));
          }
        }
      }
    }
  }
  CHECK(largest > 1);  // float32 does break the bounds without it
}
