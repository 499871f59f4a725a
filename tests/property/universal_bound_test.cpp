#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/interval.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Real margin(const std::vector<Real>& logits, std::size_t label) {
  Real least = 0;
  bool first = true;
  for (std::size_t j = 0; j < logits.size(); ++j) {
    if (j == label) continue;
    least = first ? logits[label] - logits[j] : std::min(least, logits[label] - logits[j]);
    first = false;
  }
  return least;
}

/// Mean margin over the images of one network.
double mean_margin(const Tiny& net, const ReferenceNetwork& network) {
  Real sum = 0;
  for (Index n = 0; n < net.data.size(); ++n) {
    const auto label = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
    sum += margin(reference_logits(network, image_of(net.data, n), "relu"), label);
  }
  return static_cast<double>(sum / static_cast<Real>(net.data.size()));
}

/// Mean over the images of what their own bounds allow the margin to drop.
double mean_alone(const Tiny& net, const ThreatSet& set) {
  const auto values = find_bound("linear").compute({net.network, net.data, set}).value;
  return margin_drop_bound(exact_margins(net.network, net.data), values, net.data.labels).mean();
}

/// The same where each image may go to a corner of its own box as well: the least found for each.
double least_mean(const Tiny& net, const ReferenceNetwork& network, double radius, Stream& stream) {
  if (radius == 0) return mean_margin(net, network);
  Real sum = 0;
  for (Index n = 0; n < net.data.size(); ++n) {
    const auto label = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
    const auto image = image_of(net.data, n);
    Real least = margin(reference_logits(network, image, "relu"), label);
    for (int k = 0; k < 8; ++k) {
      auto moved = image;
      for (auto& value : moved) value += stream.uniform() < 0.5 ? -radius : radius;
      least = std::min(least, margin(reference_logits(network, moved, "relu"), label));
    }
    sum += least;
  }
  return static_cast<double>(sum / static_cast<Real>(net.data.size()));
}

double mean_bound(const Tiny& net, const ThreatSet& set) {
  return *find_bound("universal").compute({net.network, net.data, set}).mean;
}

}  // namespace

TEST_CASE("no single network lowers the mean margin by more than its bound: corners and random members") {
  double closest = 0;
  for (std::uint32_t t = 0; t < 150; ++t) {
    Stream stream(41, {1, t, 0});
    const auto net = tiny(stream, {{3, 3, 2, 3}, "relu", t % 2 == 0, t % 3 == 0, 5});
    const double eps = t % 5 == 0 ? 0.3 : 0.03;
    const auto weights = t % 4 < 2 ? linf_set(net.network, eps, parse_layers("all", net.network), t % 2 == 0)
                                   : relative_set(net.network, 3 * eps, {0, 2}, false);
    const auto set = with_input(weights, t % 7 < 3 ? eps / 2 : 0);
    const double bound = mean_bound(net, set);
    const auto base = reference(net.network);
    const auto parameters = free_parameters(net.network, set);
    const double before = mean_margin(net, base);
    std::vector<Real> position(parameters.size(), 0);
    for (int k = 0; k < 60; ++k) {
      for (auto& place : position)
        place = k % 4 == 0 ? 2 * stream.uniform() - 1 : stream.uniform() < 0.5 ? -1 : 1;
      // From a random corner on, one weight at a time to its worse end.
      double drop = before - least_mean(net, member(base, parameters, position), set.input, stream);
      for (std::size_t i = 0; k % 10 == 1 && i < position.size(); ++i) {
        position[i] = -position[i];
        const double other = before - mean_margin(net, member(base, parameters, position));
        if (other > drop) {
          drop = other;
        } else {
          position[i] = -position[i];
        }
      }
      closest = std::max(closest, drop / bound);
      if (drop > bound) FAIL("case " << t << ": " << drop << " above " << bound);
    }
  }
  // The bound is not far from what is found.
  CHECK(closest > 0.9);
}

TEST_CASE("one network for all images: never above the mean of the images' own bounds, often well below") {
  double together = 0;
  double alone = 0;
  for (std::uint32_t t = 0; t < 30; ++t) {
    Stream stream(42, {1, t, 0});
    const auto net = tiny(stream, {{12, 10, 8, 4}, "relu", false, t % 2 == 0, 60});
    const auto set = linf_set(net.network, 0.01, parse_layers("all", net.network), false);
    const double own = mean_alone(net, set);
    const double mean = mean_bound(net, set);
    CHECK(mean <= own * (1 + 1e-9));
    together += mean;
    alone += own;
  }
  CHECK(together < 0.8 * alone);
}

TEST_CASE(
    "moving images: the mean bound grows with their radius, and never exceeds that of the images alone") {
  for (std::uint32_t t = 0; t < 20; ++t) {
    Stream stream(45, {1, t, 0});
    const auto net = t % 4 == 0 ? tiny(stream, {{6, 3}, "relu", true, t % 2 == 0, 15})
                                : tiny(stream, {{6, 7, 5, 3}, "relu", t % 3 == 0, t % 2 == 0, 15});
    const auto weights = linf_set(net.network, 0.01, parse_layers("all", net.network), false);
    double last = mean_bound(net, weights);
    CHECK(mean_bound(net, with_input(weights, 1e-12)) == Approx(last).epsilon(1e-6));
    for (const double radius : {1e-3, 1e-2, 1e-1}) {
      const auto set = with_input(weights, radius);
      const auto values = find_bound("universal").compute({net.network, net.data, set, true});
      CHECK(*values.mean > last);
      CHECK(*values.mean <= mean_alone(net, set) * (1 + 1e-9));
      CHECK(values.mean_arithmetic > 0);
      last = *values.mean;
    }
  }
}

TEST_CASE("two images that pull against each other: the mean of one network is a fraction of their own") {
  // One linear layer of two classes: raising the margin of x lowers that of an image with the other label.
  Stream stream(43, {});
  auto net = tiny(stream, {{4, 2}, "relu", false, false, 2});
  net.data.images.row(1) = net.data.images.row(0);
  net.data.labels = {0, 1};
  const auto set = linf_set(net.network, 0.1, {0}, false);
  CHECK(mean_bound(net, set) <= 1e-11);
  CHECK(mean_alone(net, set) > 0.1);
}

TEST_CASE("the mean bound vanishes with the severity, grows with it, and allows for float32 on request") {
  Stream stream(44, {});
  const auto net = tiny(stream, {{6, 8, 8, 4}, "relu", true, false, 20});
  const auto all = parse_layers("all", net.network);
  double last = 0;
  for (const double eps : {0.0, 1e-4, 1e-3, 1e-2, 1e-1}) {
    const auto set = linf_set(net.network, eps, all, true);
    const auto values = find_bound("universal").compute({net.network, net.data, set, true});
    if (eps == 0) CHECK(*values.mean <= 1e-12);
    CHECK(*values.mean >= last);
    CHECK(values.mean_arithmetic > 0);
    CHECK(values.mean_arithmetic < 1e-3);
    last = *values.mean;
  }
}
