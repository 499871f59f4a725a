#include "support/networks.hpp"

#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using temblor::testing::random_network;
using temblor::testing::same_bits;

TEST_CASE("moved() never leaves the box, and plain rounding does") {
  Stream stream(5, {});
  int plain_left = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto base = static_cast<float>(stream.normal());
    const double radius = std::exp(-10 * stream.uniform());
    for (const double delta : {radius, -radius, radius * (2 * stream.uniform() - 1)}) {
      const float after = moved(base, delta, radius);
      REQUIRE(within(base, after, radius));
      REQUIRE(std::fabs(static_cast<double>(after) - (static_cast<double>(base) + delta)) < 1e-6);
      if (!within(base, static_cast<float>(static_cast<double>(base) + delta), radius)) ++plain_left;
    }
  }
  CHECK(plain_left > 1000);
  CHECK(moved(1.0F, 0.0, 0.0) == 1.0F);
}

TEST_CASE("layer sets: all, indices, names; misspelt ones are refused") {
  const Network network = random_network("4-3-2", 1, false);
  CHECK(parse_layers("all", network) == LayerSet{0, 1});
  CHECK(parse_layers("1,0,1", network) == LayerSet{0, 1});
  CHECK(parse_layers("dense2", network) == LayerSet{1});
  CHECK(layers_text({0, 1}, network) == "all");
  CHECK(layers_text({1}, network) == "1");
  CHECK_THROWS_WITH(parse_layers("2", network), Catch::Contains("0 to 1"));
  CHECK_THROWS_WITH(parse_layers("dense3", network), Catch::Contains("did you mean"));
}

TEST_CASE("threat sets: radii and keys") {
  const Network network = random_network("4-3-2", 1, true);
  CHECK(linf_set(network, 0.001, {0, 1}, false).key == "linf eps=0.001 layers=all biases=false");
  const ThreatSet relative = relative_set(network, 0.5, {1}, true);
  CHECK_FALSE(relative.radius[0]);
  CHECK(relative.radius[1]->weight(0, 0) ==
        0.5 * std::fabs(static_cast<double>(network.weights(1).weight(0, 0))));
  CHECK(relative.radius[1]->bias.size() == 2);
  CHECK_THROWS_AS(linf_set(network, -1, {0}, false), Error);
  std::vector<std::optional<Radius>> radius(2);
  radius[0] = Radius{0.25};
  const std::string key = box_set(network, 8, radius, "round").key;
  radius[0]->uniform = 0.5;
  CHECK(box_set(network, 8, radius, "round").key != key);
}

TEST_CASE("sparse changes are applied and undone bit for bit, NaN included") {
  const Network network = random_network("4-3-2", 2, true);
  Workspace workspace(network);
  const SparseDelta delta{{{0, 3, std::numeric_limits<float>::quiet_NaN()}, {1, 5, -2.0F}}};
  const WeightView& view = workspace.apply(delta);
  CHECK(std::isnan(view[0]->weight.data()[3]));
  CHECK(view[1]->weight.data()[5] == -2.0F);
  workspace.undo();
  CHECK(workspace.view() == network.view());
  const WeightView& again = workspace.apply(SparseDelta{{{0, 0, 1.5F}}});
  Weights expected = network.weights(0);
  expected.weight.data()[0] = 1.5F;
  CHECK(same_bits(*again[0], expected));
  CHECK(again[1] == network.view()[1]);
}

TEST_CASE("per-sample weights stay in their set and move pre-activations as the reduction says") {
  for (const bool biases : {false, true}) {
    const Network network = random_network("4-5-3", 3, biases);
    Matrix image(1, 4);
    image << 0.5F, -1, 0, 2;
    for (const auto& set : {linf_set(network, 0.1, {0, 1}, biases),
                            relative_set(network, 0.2, {0, 1}, biases), l2_set(network, 0.3, {0, 1})}) {
      SampleDelta delta{set, {Matrix::Constant(1, 5, 0.4F), Matrix::Constant(1, 3, -0.5F)}};
      const auto layers = perturbed_weights(network, delta, 0, image);
      for (int layer = 0; layer < 2; ++layer) {
        const Matrix& before = network.weights(layer).weight;
        const Matrix& after = layers[static_cast<std::size_t>(layer)]->weight;
        if (set.ball == Ball::l2) {
          CHECK((after.cast<double>() - before.cast<double>()).norm() <= 0.3);
          continue;
        }
        const Radius& radius = *set.radius[static_cast<std::size_t>(layer)];
        for (Index i = 0; i < before.size(); ++i) {
          const double r = radius.weight.size() != 0 ? radius.weight.data()[i] : radius.uniform;
          CHECK(within(before.data()[i], after.data()[i], r));
        }
      }
      if (set.ball == Ball::linf) {
        const double l1 = image.cast<double>().lpNorm<1>();
        const double base = (network.weights(0).weight.row(1) * image.transpose()).value();
        const double now = (layers[0]->weight.row(1) * image.transpose()).value();
        CHECK(now - base == Approx(0.1 * 0.4 * l1).margin(1e-5));
      }
    }
  }
}

TEST_CASE("norms of a perturbation") {
  const Network network = random_network("4-3-2", 4, false);
  const float before = network.weights(0).weight.data()[2];
  const SparseDelta delta{{{0, 2, before + 2.0F}}};
  const Norms sparse = measure(network, delta);
  CHECK(sparse.changed == 1);
  CHECK(sparse.linf == Approx(2.0));
  CHECK(sparse.l2 == Approx(2.0));
  CHECK(sparse.relative == Approx(2.0 / std::fabs(static_cast<double>(before))));
  const Norms dense = measure(network, perturbed_weights(network, delta));
  CHECK(dense.linf == sparse.linf);
  CHECK(dense.changed == 1);
  CHECK(std::isnan(measure(network, SparseDelta{{{0, 2, std::nanf("")}, {0, 3, 1.0F}}}).linf));
}
