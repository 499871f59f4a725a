#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <catch2/catch.hpp>

#include <temblor/bounds/bound.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

MatrixD values(const std::string& bound, const Tiny& net, const ThreatSet& set) {
  const auto& entry = find_bound(bound);
  return entry.compute({net.network, net.data, set, false, checked_params(entry, {})}).value;
}

/// Largest drop of pair (label, j) over every corner of the set.
double worst_corner(const Tiny& net, const ThreatSet& set, Index n, Index j) {
  const auto base = reference(net.network);
  const auto parameters = free_parameters(net.network, set);
  const auto image = image_of(net.data, n);
  const auto y = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
  const auto other = static_cast<std::size_t>(j);
  const auto before = reference_logits(base, image, "relu");
  Real worst = 0;
  std::vector<Real> position(parameters.size());
  for (std::size_t corner = 0; corner < (std::size_t{1} << parameters.size()); ++corner) {
    for (std::size_t k = 0; k < position.size(); ++k) position[k] = ((corner >> k) & 1U) != 0 ? 1 : -1;
    const auto after = reference_logits(member(base, parameters, position), image, "relu");
    worst = std::max(worst, (before[y] - before[other]) - (after[y] - after[other]));
  }
  return static_cast<double>(worst);
}

}  // namespace

TEST_CASE("alpha <= linear <= fast <= interval, and linear is far tighter on deeper networks") {
  double sum_linear = 0;
  double sum_interval = 0;
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(31, {1, t, 0});
    const auto net = tiny(stream, {{8, 10, 10, 10, 4}, "relu", t % 2 == 0, t % 3 == 0, 5});
    const auto set = linf_set(net.network, 1e-3, {0, 1, 2, 3}, t % 2 == 0);
    const auto linear = values("linear", net, set);
    const auto interval = values("interval", net, set);
    CHECK((linear.array() <= interval.array()).all());
    const auto fast = values("linear-fast", net, set);
    const auto alpha = values("linear-alpha", net, set);
    CHECK((fast.array() <= interval.array()).all());
    CHECK((linear.array() <= fast.array()).all());
    CHECK((alpha.array() <= linear.array()).all());
    sum_linear += linear.sum();
    sum_interval += interval.sum();
  }
  CHECK(sum_linear < 0.75 * sum_interval);
}

TEST_CASE("hidden limits by the backward pass gain nothing with two hidden layers, and much with more") {
  double sum_linear = 0;
  double sum_fast = 0;
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(34, {4, t, 0});
    const bool deep = t % 2 == 0;
    const auto sizes = deep ? std::vector<int>{8, 16, 16, 16, 4} : std::vector<int>{8, 16, 16, 4};
    const auto net = tiny(stream, {sizes, "relu", t % 4 < 2, t % 3 == 0, 5});
    const auto set = linf_set(net.network, 0.02, parse_layers("all", net.network), t % 4 < 2);
    const auto linear = values("linear", net, set);
    const auto fast = values("linear-fast", net, set);
    if (deep) {
      sum_linear += linear.sum();
      sum_fast += fast.sum();
    } else {
      CHECK((linear - fast).cwiseAbs().maxCoeff() <= 1e-12 * (1 + fast.maxCoeff()));
    }
  }
  CHECK(sum_linear < 0.95 * sum_fast);
}

TEST_CASE("linear equals brute force where every unit stays active") {
  for (std::uint32_t t = 0; t < 60; ++t) {
    Stream stream(32, {2, t, 0});
    auto net = tiny(stream, {{2, 2, 2, 2}, "relu", false, false, 3});
    for (const int m : {0, 1}) {
      Weights weights = net.network.weights(m);
      weights.weight = weights.weight.cwiseAbs().array() + 0.5F;
      net.network = net.network.with(m, weights);
    }
    net.data.images.array() += 0.1F;
    const auto set = linf_set(net.network, 0.2, t % 2 == 0 ? LayerSet{0, 2} : LayerSet{0, 1}, false);
    const auto linear = values("linear", net, set);
    for (Index n = 0; n < 3; ++n) {
      for (Index j = 0; j < 2; ++j) {
        if (j == net.data.labels[static_cast<std::size_t>(n)]) continue;
        INFO("network " << t << " image " << n);
        CHECK(linear(n, j) == Approx(worst_corner(net, set, n, j)).epsilon(1e-9));
      }
    }
  }
}

TEST_CASE("more steps find slopes that close in on the best ones") {
  double sum_linear = 0;
  std::map<std::string, double> sum;
  for (std::uint32_t t = 0; t < 12; ++t) {
    Stream stream(35, {5, t, 0});
    const auto net = tiny(stream, {{8, 16, 16, 16, 4}, "relu", t % 2 == 0, t % 3 == 0, 5});
    const auto set = linf_set(net.network, 0.02, parse_layers("all", net.network), t % 2 == 0);
    const auto linear = values("linear", net, set);
    const auto& entry = find_bound("linear-alpha");
    for (const std::string steps : {"1", "10", "30", "300"}) {
      const auto params = checked_params(entry, {{"linear-alpha", {{"steps", steps}}}});
      const auto alpha = entry.compute({net.network, net.data, set, false, params}).value;
      CHECK((alpha.array() <= linear.array()).all());
      if (steps == "1") CHECK(alpha == linear);
      sum[steps] += alpha.sum();
    }
    sum_linear += linear.sum();
  }
  CHECK(sum["30"] < 0.98 * sum_linear);
  CHECK(sum["10"] - sum["30"] > 0);
  CHECK(sum["30"] - sum["300"] < 0.01 * (sum_linear - sum["30"]));
}

TEST_CASE("linear refuses activations other than ReLU, with the reason") {
  Stream stream(33, {3, 0, 0});
  const auto net = tiny(stream, {{3, 3, 2}, "tanh", false, false, 2});
  const auto set = linf_set(net.network, 0.1, {0, 1}, false);
  CHECK(find_bound("linear").refuses(net.network, set).find("tanh") != std::string::npos);
}
