#include <cmath>

#include <catch2/catch.hpp>
#include <support/graphs.hpp>
#include <support/tiny.hpp>

#include <temblor/generalize/margin_bound.hpp>
#include <temblor/perturb/threat.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("no corner of the set drops a margin by more than slope times the image's l1-norm") {
  Stream stream(11, {});
  int networks = 0;
  double nearest = 0;
  for (const auto& sizes : std::vector<std::vector<int>>{{3, 2}, {2, 3, 2}, {2, 2, 2, 3}}) {
    for (int repeat = 0; repeat < 60; ++repeat) {
      TinyOptions options;
      options.sizes = sizes;
      options.signed_inputs = repeat % 2 == 1;
      options.activation = repeat % 5 == 4 ? "tanh" : "relu";
      const auto [network, data] = tiny(stream, options);
      LayerSet layers;
      std::vector<double> eps(sizes.size() - 1, 0.0);
      for (std::size_t m = 0; m < eps.size(); ++m) {
        if (stream.uniform() < 0.3 && m + 1 < eps.size()) continue;
        layers.push_back(static_cast<int>(m));
      }
      const double size = 0.3 * stream.uniform();
      for (const int m : layers) eps[static_cast<std::size_t>(m)] = size;
      const auto norms = layer_norms(network);
      const double slope = drop_slope(norms, eps);
      const auto set = linf_set(network, size, layers, false);
      const auto base = reference(network);
      const auto parameters = free_parameters(network, set);
      ++networks;
      for (int corner = 0; corner < 200; ++corner) {
        std::vector<Real> position;
        for (std::size_t k = 0; k < parameters.size(); ++k)
          position.push_back(stream.uniform() < 0.5 ? -1.0L : 1.0L);
        const auto moved = member(base, parameters, position);
        for (Index n = 0; n < data.size(); ++n) {
          const auto image = image_of(data, n);
          Real l1 = 0;
          for (const Real x : image) l1 += std::abs(x);
          const auto before = reference_logits(base, image, options.activation);
          const auto after = reference_logits(moved, image, options.activation);
          const auto y = static_cast<std::size_t>(data.labels[static_cast<std::size_t>(n)]);
          for (std::size_t j = 0; j < before.size(); ++j) {
            const Real drop = (before[y] - before[j]) - (after[y] - after[j]);
            if (j == y) continue;
            nearest = std::max(nearest, static_cast<double>(drop / (slope * l1)));
            if (drop > slope * l1) FAIL("drop " << static_cast<double>(drop) << " slope " << slope);
          }
        }
      }
    }
  }
  CHECK(networks == 180);
  CHECK(nearest > 0.5);  // a single layer attains it: the bound is not idle
  CHECK(nearest <= 1);
}

TEST_CASE("the slope holds for chains with convolutions and pools") {
  double nearest = 0;
  for (std::uint32_t t = 0; t < 12; ++t) {
    Stream stream(13, {t, 0, 0});
    GraphBuilder build({{1, 5, 6}}, stream);
    if (t % 3 > 0) {
      build.convolution(2, {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}, {"stride", {1, 2}}});
      build.layer(t % 2 == 0 ? "relu" : "tanh");
      build.layer(t % 2 == 0 ? "average-pool" : "max-pool", {{"kernel", {2, 2}}, {"stride", {2, 3}}});
    }
    if (t % 3 == 1) {
      build.convolution(3, {{"kernel", {2, 1}}});
      build.layer("relu");
    }
    build.dense(3);
    Network network = build.network();
    for (int m = 0; m < network.layers(); ++m) {
      Weights weights = network.weights(m);
      weights.bias.setZero();
      network = network.with(m, weights);
    }
    REQUIRE(refuses_margin_bound(network).empty());
    const Dataset data = graph_images(network, 3, t % 2 == 1, stream);
    LayerSet layers;
    std::vector<double> eps(static_cast<std::size_t>(network.layers()), 0.0);
    for (int m = t % 2 == 0 ? 0 : network.layers() - 1; m < network.layers(); ++m) {
      layers.push_back(m);
      eps[static_cast<std::size_t>(m)] = 0.1;
    }
    const VectorD limit = drop_slope(layer_norms(network), eps) * data_norms(data).image_l1;
    const MatrixD reached = reached_drops(network, data, linf_set(network, 0.1, layers, false), 2, stream);
    for (Index n = 0; n < data.size(); ++n) {
      INFO("network " << t);
      CHECK(reached.row(n).maxCoeff() <= limit(n));
      nearest = std::max(nearest, reached.row(n).maxCoeff() / limit(n));
    }
  }
  CHECK(nearest > 0.5);
}

TEST_CASE("margin bound: grows with eps, the complexity term falls with gamma, the first term grows") {
  Stream stream(12, {});
  TinyOptions options;
  options.sizes = {4, 5, 3};
  options.images = 50;
  const auto [network, data] = tiny(stream, options);
  const auto norms = layer_norms(network);
  const auto images = data_norms(data);
  const VectorD margins = VectorD::LinSpaced(50, -1, 3);
  double value = 0;
  for (const double eps : {0.0, 1e-3, 1e-2, 1e-1}) {
    const double slope = drop_slope(norms, {eps, eps});
    const auto bound = margin_bound(margins, slope * images.image_l1, norms, images, 0.1, 0.05, 0);
    CHECK(bound.value() >= value);
    value = bound.value();
    if (eps == 0) CHECK(bound.first == share_within(margins, VectorD::Zero(50), 0.1));
    const auto fixed =
        margin_bound(margins, VectorD::Constant(50, slope * images.l1), norms, images, 0.1, 0.05, 0);
    CHECK(fixed.first >= bound.first);
    const auto grid = grid_class(norms, slope);
    const auto any =
        margin_bound(margins, grid.slope * images.image_l1, grid.norms, images, 0.1, 0.05, grid.cost);
    CHECK(any.value() > bound.value());
  }
  double first = 0, complexity = INFINITY;
  for (const double gamma : {0.1, 0.5, 1.0, 5.0}) {
    const auto bound = margin_bound(margins, VectorD::Zero(50), norms, images, gamma, 0.05, 0);
    CHECK(bound.first >= first);
    CHECK(bound.complexity < complexity);
    first = bound.first;
    complexity = bound.complexity;
  }
}
