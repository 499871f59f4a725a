// Bounds exact and universal, and the attack exact, on networks that end in dense layers with ReLU: what
// comes before does not change and stands as a narrow box in front of the chain.

#include <cmath>

#include <catch2/catch.hpp>
#include <support/graphs.hpp>
#include <support/networks.hpp>

#include <temblor/bounds/exact.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/tail.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

BoundValues values_of(const std::string& bound, const Network& network, const Dataset& data,
                      const ThreatSet& set, bool arithmetic = false) {
  const auto& entry = find_bound(bound);
  REQUIRE(entry.refuses(network, set).empty());
  return entry.compute({network, data, set, arithmetic, checked_params(entry, {})});
}

std::string refused(const std::string& bound, const Network& network, const ThreatSet& set) {
  return find_bound(bound).refuses(network, set);
}

ExactWorst solved(const Network& network, const Dataset& data, const ThreatSet& set,
                  bool arithmetic = false) {
  ExactOptions options;
  options.all_pairs = true;
  return exact_worst(network, data, set, arithmetic, options);
}

/// A chain, and the same behind a convolution that copies its input.
struct Pair {
  Network chain;
  Network behind;
};

Pair copied(const std::string& arch, std::uint64_t seed) {
  Network chain = random_network(arch, seed, true);
  const Index values = chain.input().size();
  Network behind({{1, 1, values}}, {});
  behind.add(make_layer("conv2d", {{"kernel", {1, 1}}}), {Matrix::Ones(1, 1), Vector::Zero(1)});
  behind.add(make_layer("flatten"));
  for (const auto& node : chain.nodes())
    behind.add(node.layer, node.weights < 0 ? Weights{} : chain.weights(node.weights));
  return {std::move(chain), std::move(behind)};
}

LayerSet moved_by(const LayerSet& layers, int by) {
  LayerSet result;
  for (const int layer : layers) result.push_back(layer + by);
  return result;
}

/// Networks with a front of their own and their dense end: its layers.
std::vector<std::pair<std::string, LayerSet>> ends() {
  return {{"pool", {2, 3}},  {"pool", {2}},   {"pool", {3}},
          {"image", {2, 3}}, {"joined", {3}}, {"residual", {3}}};
}

}  // namespace

TEST_CASE("behind a front that copies the image, exact and universal are those of the chain") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const Pair pair = copied("5-8-7-6-4", seed);
    Stream stream(seed, {});
    const Dataset data = graph_images(pair.chain, 6, seed == 2, stream);
    for (const LayerSet& layers : std::vector<LayerSet>{{0, 1, 2, 3}, {1, 3}, {2}, {3}}) {
      for (const double eps : {0.01, 0.08}) {
        INFO("network " << seed << ", from layer " << layers.front() << ", eps " << eps);
        const ThreatSet own = linf_set(pair.chain, eps, layers, seed == 3);
        const ThreatSet set = linf_set(pair.behind, eps, moved_by(layers, 1), seed == 3);
        const ExactWorst chain = solved(pair.chain, data, own);
        const ExactWorst tail = solved(pair.behind, data, set);
        const double gap = 3e-6 * (1 + chain.values.value.maxCoeff());
        CHECK((chain.values.value - tail.values.value).cwiseAbs().maxCoeff() < gap);
        CHECK((chain.values.attained - tail.values.attained).cwiseAbs().maxCoeff() < gap);
        const BoundValues mean = values_of("universal", pair.chain, data, own);
        const BoundValues tail_mean = values_of("universal", pair.behind, data, set);
        // The pass ends where the tail begins, and needs no lines for the first layer that moves.
        CHECK(*tail_mean.mean <= *mean.mean * (1 + 1e-9));
        CHECK((tail_mean.value - mean.value).maxCoeff() < 1e-9);
        if (layers.front() > 0) continue;
        CHECK(*tail_mean.mean == Approx(*mean.mean).epsilon(1e-9));
        CHECK((tail_mean.value - mean.value).cwiseAbs().maxCoeff() < 1e-9);
      }
    }
  }
}

TEST_CASE("on convolutional networks no member of a dense end is beyond exact, and the worst one is found") {
  double tightest = 0;
  for (const auto& [name, layers] : ends()) {
    for (std::uint32_t t = 0; t < 4; ++t) {
      Stream stream(61, {t, 0, 0});
      const Network network = small_graph(name, stream);
      const Dataset data = graph_images(network, 4, t % 2 == 1, stream);
      const double eps = t < 2 ? 0.02 : 0.15;
      const ThreatSet set =
          t % 2 == 0 ? linf_set(network, eps, layers, true) : relative_set(network, 3 * eps, layers, false);
      INFO(name << ", layers from " << layers.front() << ", network " << t);
      const ExactWorst worst = solved(network, data, set, true);
      const MatrixD reached = reached_drops(network, data, set, 3, stream);
      CHECK((worst.values.value - reached).minCoeff() >= 0);
      CHECK((worst.values.value - worst.values.attained).minCoeff() >= 0);
      CHECK((worst.values.value - worst.values.attained).maxCoeff() <
            2e-6 * (1 + worst.values.value.maxCoeff()));
      CHECK((values_of("interval", network, data, set).value - worst.values.value).minCoeff() > -1e-9);
      if (layers.front() + 1 < network.layers()) {
        const BoundValues fast = values_of("linear-fast", network, data, set, true);
        const MatrixD own = worst.values.value + worst.values.arithmetic;
        CHECK((fast.value + fast.arithmetic - own).minCoeff() > -1e-9 * (1 + own.maxCoeff()));
      }
      tightest = std::max(tightest, (reached.array() / (worst.values.value.array() + 1e-9)).maxCoeff());

      // What is said to be attained is, by ordinary forward passes with weights of the set.
      CHECK(worst.worst.slack.size() == static_cast<std::size_t>(network.layers()));
      const Matrix before = logits(network, network.view(), data.images);
      for (Index n = 0; n < data.size(); ++n) {
        const Matrix image = data.images.row(n);
        const auto y = static_cast<Index>(data.labels[static_cast<std::size_t>(n)]);
        const DenseDelta delta{perturbed_weights(network, worst.worst, n, image)};
        Workspace workspace(network);
        const Matrix after = logits(network, workspace.apply(delta), image);
        double most = 0;
        double margin = HUGE_VAL;
        double limit = HUGE_VAL;
        for (Index j = 0; j < before.cols(); ++j) {
          if (j == y) continue;
          const double own = double(before(n, y)) - double(before(n, j));
          const double left = double(after(0, y)) - double(after(0, j));
          CHECK(own - left <= worst.values.value(n, j) + worst.values.arithmetic(n, j));
          margin = std::min(margin, left);
          limit = std::min(limit, own - worst.values.value(n, j));
          most = std::max(most, std::abs(own));
        }
        CHECK(margin == Approx(limit).margin(2e-5 * (1 + most)));
      }
    }
  }
  CHECK(tightest > 0.999);
}

TEST_CASE("no one member of a dense end lowers the mean margin by more than universal allows") {
  double tightest = 0;
  for (const auto& [name, layers] : ends()) {
    for (std::uint32_t t = 0; t < 4; ++t) {
      Stream stream(67, {t, 0, 0});
      const Network network = small_graph(name, stream);
      const Dataset data = graph_images(network, 4, t % 2 == 1, stream);
      const ThreatSet set = linf_set(network, t < 2 ? 0.02 : 0.1, layers, false);
      const BoundValues values = values_of("universal", network, data, set, true);
      const auto mean_margin = [&](const Network& at) {
        const MatrixD pairs = exact_margins(at, data);
        double sum = 0;
        for (Index n = 0; n < pairs.rows(); ++n) {
          double least = HUGE_VAL;
          for (Index j = 0; j < pairs.cols(); ++j)
            if (j != data.labels[static_cast<std::size_t>(n)]) least = std::min(least, pairs(n, j));
          sum += least / static_cast<double>(pairs.rows());
        }
        return sum;
      };
      INFO(name << ", layers from " << layers.front() << ", network " << t);
      for (int draw = 0; draw < 200; ++draw) {
        std::vector<Weights> corner;
        for (int m = 0; m < network.layers(); ++m) {
          Weights part = network.weights(m);
          for (Index i = 0; i < part.weight.size(); ++i)
            part.weight.data()[i] = stream.below(2) == 1 ? 1.0F : -1.0F;
          part.bias.setZero();
          corner.push_back(std::move(part));
        }
        const double drop = mean_margin(network) - mean_margin(box_member(network, set, corner));
        CHECK(drop <= *values.mean + 1e-9);
        tightest = std::max(tightest, drop / *values.mean);
      }
      CHECK(std::isfinite(values.mean_arithmetic));
      CHECK((values.value - reached_drops(network, data, set, 2, stream)).minCoeff() >= 0);
    }
  }
  INFO(tightest);
  CHECK(tightest > 0.5);
}

TEST_CASE("what exact and universal do not cover of a graph they name, and what they would") {
  Stream stream(71, {});
  const Network pool = small_graph("pool", stream);
  const Network image = small_graph("image", stream);
  for (const std::string bound : {"exact", "universal"}) {
    INFO(bound);
    CHECK_THAT(refused(bound, pool, linf_set(pool, 0.1, {1, 2}, false)),
               Catch::Contains("(conv2d) may change") && Catch::Contains("--layers 2+3"));
    CHECK_THAT(refused(bound, image, linf_set(image, 0.1, {1, 3}, false)),
               Catch::Contains("(scale) may change") && Catch::Contains("--layers 2+3"));
    CHECK_THAT(refused(bound, pool, with_input(linf_set(pool, 0.1, {3}, false), 0.01)),
               Catch::Contains("image moves"));
    CHECK_THAT(refused(bound, pool, l2_set(pool, 0.1, {3})), Catch::Contains("l2"));
    const Network none = small_graph("no dense", stream);
    CHECK_THAT(refused(bound, none, linf_set(none, 0.1, {1}, false)),
               Catch::Contains("(conv2d) may change") && !Catch::Contains("--layers"));
    GraphBuilder build({{1, 3, 3}}, stream);
    build.dense(4);
    build.layer("tanh");
    build.dense(3);
    build.layer("relu");
    build.dense(2);
    CHECK_THAT(refused(bound, build.network(), linf_set(build.network(), 0.1, {0}, false)),
               Catch::Contains("(tanh) comes behind") && Catch::Contains("--layers 1+2"));
    CHECK(refused(bound, build.network(), linf_set(build.network(), 0.1, {1, 2}, false)).empty());
  }
}
