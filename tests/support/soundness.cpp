#include "support/soundness.hpp"

#include <algorithm>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/slack_search.hpp>

namespace temblor::testing {
namespace {

/// What the search's own rounding in long double may come to, at sizes around 1: a hundredth of a rounding in
/// double.
constexpr Real oracle_error = 1e-17L;

/// Radii that differ from weight to weight, a third of them 0.
ThreatSet uneven_box(const Network& network, double severity, const LayerSet& layers, bool biases) {
  std::vector<std::optional<Radius>> radius(static_cast<std::size_t>(network.layers()));
  for (const int m : layers) {
    const auto& weights = network.weights(m);
    Radius box;
    const auto part = [severity](Index i) { return severity * static_cast<double>((i * 7 + 2) % 3) / 2; };
    box.weight.resize(weights.weight.rows(), weights.weight.cols());
    for (Index i = 0; i < box.weight.size(); ++i) box.weight.data()[i] = part(i);
    if (biases && weights.bias.size() > 0) {
      box.bias.resize(weights.bias.size());
      for (Index i = 0; i < box.bias.size(); ++i) box.bias(i) = part(i + 1);
    }
    radius[static_cast<std::size_t>(m)] = std::move(box);
  }
  return box_set(network, severity, std::move(radius), "box");
}

}  // namespace

const std::vector<SetKind>& set_kinds() {
  static const std::vector<SetKind> kinds{
      {"linf", linf_set},
      {"relative", relative_set},
      {"box", uneven_box},
      {"l2", l2_set},
      {"l2-row", l2_row_set},
      {"one weight", [](const Network& network, double severity, const LayerSet& layers,
                        bool biases) { return k_weights_set(network, 1, severity, layers, biases); }},
      {"three weights", [](const Network& network, double severity, const LayerSet& layers,
                           bool biases) { return k_weights_set(network, 3, severity, layers, biases); }},
      {"linf and image",
       [](const Network& network, double severity, const LayerSet& layers, bool biases) {
         return with_input(linf_set(network, severity, layers, biases), severity / 2);
       }},
  };
  return kinds;
}

SoundnessCase soundness_case(Stream& stream, int images) {
  const auto between = [&](int least, int most) {
    return least + static_cast<int>(stream.below(static_cast<std::uint64_t>(most - least + 1)));
  };
  TinyOptions options;
  options.sizes = {between(1, 5)};
  for (int hidden = between(1, 3); hidden > 0; --hidden) options.sizes.push_back(between(1, 6));
  options.sizes.push_back(between(2, 4));
  options.biases = stream.below(2) == 1;
  options.signed_inputs = stream.below(2) == 1;
  options.images = images;
  SoundnessCase made{tiny(stream, options), {}, std::pow(10.0, -3 + 3 * stream.uniform()), false};
  made.biases = stream.below(2) == 1;
  while (made.layers.empty()) {
    for (int m = 0; m < made.tiny.network.layers(); ++m)
      if (stream.below(3) > 0) made.layers.push_back(m);
  }
  return made;
}

MatrixD bound_values(const BoundEntry& entry, const Network& network, const Dataset& data,
                     const ThreatSet& set) {
  BoundParams given;
  if (entry.name == "exact") given["exact"]["pairs"] = "all";
  const auto params = checked_params(entry, given);
  return entry.compute({.network = network, .data = data, .set = set, .arithmetic = false, .params = params})
      .value;
}

double bound_slack(const BoundEntry& entry) {
  return entry.name == "exact" ? 2e-6 : 0;
}

std::map<std::string, std::map<std::string, double>> hold_all_bounds(int networks, std::uint64_t seed) {
  constexpr int images = 2;
  std::map<std::string, std::map<std::string, double>> tightest;
  for (std::size_t k = 0; k < set_kinds().size(); ++k) {
    const auto& kind = set_kinds()[k];
    for (int t = 0; t < networks; ++t) {
      Stream stream(seed, {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(t), 0});
      const auto problem = soundness_case(stream, images);
      const auto& network = problem.tiny.network;
      const auto& data = problem.tiny.data;
      const auto set = kind.make(network, problem.severity, problem.layers, problem.biases);
      const SlackSearch search(network, set);
      std::vector<std::vector<Real>> reached(images);
      for (Index n = 0; n < images; ++n) {
        const auto image = image_of(data, n);
        const auto label = static_cast<std::size_t>(data.labels[static_cast<std::size_t>(n)]);
        for (std::size_t j = 0; j < static_cast<std::size_t>(network.classes()); ++j) {
          reached[static_cast<std::size_t>(n)].push_back(
              j == label ? 0 : search.worst(image, label, j, stream, 2));
        }
      }
      for (const auto& entry : bound_table()) {
        if (!entry.refuses(network, set).empty()) continue;
        const auto value = bound_values(entry, network, data, set);
        for (Index n = 0; n < value.rows(); ++n) {
          for (Index j = 0; j < value.cols(); ++j) {
            const Real drop = reached[static_cast<std::size_t>(n)][static_cast<std::size_t>(j)];
            INFO(entry.name << " against " << set.key << ", network " << t << ", image " << n << ", class "
                            << j);
            REQUIRE(static_cast<Real>(value(n, j)) + oracle_error >= drop);
            auto& ratio = tightest[kind.name][entry.name];
            if (value(n, j) > 0) ratio = std::max(ratio, static_cast<double>(drop / value(n, j)));
          }
        }
      }
    }
  }
  return tightest;
}

}  // namespace temblor::testing
