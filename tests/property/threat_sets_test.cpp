#include "support/soundness.hpp"
#include "support/tiny.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include <catch2/catch.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Real pick(Stream& stream, bool corner) {
  if (corner) return stream.below(2) == 1 ? 1 : -1;
  return 2 * static_cast<Real>(stream.uniform()) - 1;
}

ReferenceNetwork zero_like(ReferenceNetwork network) {
  for (auto& layer : network) {
    for (auto& row : layer.weight) std::fill(row.begin(), row.end(), 0);
    std::fill(layer.bias.begin(), layer.bias.end(), 0);
  }
  return network;
}

/// One row, with its bias if that moves too.
std::vector<Real*> row_of(ReferenceLayer& layer, std::size_t i, bool biases) {
  std::vector<Real*> entries;
  for (auto& w : layer.weight[i]) entries.push_back(&w);
  if (biases) entries.push_back(&layer.bias[i]);
  return entries;
}

void add_ball(const std::vector<Real*>& entries, const std::vector<Real>& direction, Real radius) {
  Real squares = 0;
  for (const Real d : direction) squares += d * d;
  if (squares == 0) return;
  for (std::size_t k = 0; k < entries.size(); ++k) *entries[k] += radius * direction[k] / std::sqrt(squares);
}

/// What every layer of the base network reads.
std::vector<std::vector<Real>> layer_inputs(const ReferenceNetwork& network, const std::vector<Real>& image,
                                            const std::string& activation) {
  std::vector<std::vector<Real>> inputs{image};
  ReferenceNetwork before;
  for (std::size_t m = 0; m + 1 < network.size(); ++m) {
    before.push_back(network[m]);
    auto p = reference_logits(before, image, activation);
    for (auto& x : p) {
      if (activation == "relu") x = std::max<Real>(x, 0);
      if (activation == "tanh") x = std::tanh(x);
      if (activation == "sigmoid") x = 1 / (1 + std::exp(-x));
    }
    inputs.push_back(std::move(p));
  }
  return inputs;
}

/// A random member's change. Most lie at the edge of the set, along what the layers read: there the worst
/// cases are.
ReferenceNetwork random_change(const Tiny& net, const ThreatSet& set, const std::vector<Real>& image,
                               const std::string& activation, Stream& stream) {
  const auto base = reference(net.network);
  auto change = zero_like(base);
  const bool corner = stream.below(4) != 0;
  const auto inputs = layer_inputs(base, image, activation);
  for (const int layer : set.layers) {
    const auto m = static_cast<std::size_t>(layer);
    auto& own = change[m];
    const std::size_t rows = own.weight.size();
    const bool biases = set.biases && net.network.weights(layer).bias.size() > 0;
    const auto along = [&](Real share) {
      std::vector<Real> direction;
      for (const Real z : inputs[m]) direction.push_back(corner ? share * z : pick(stream, false));
      if (biases) direction.push_back(corner ? share : pick(stream, false));
      return direction;
    };
    if (set.row > 0) {
      for (std::size_t i = 0; i < rows; ++i) {
        const Real radius = corner ? 1 : static_cast<Real>(stream.uniform());
        add_ball(row_of(own, i, biases), along(pick(stream, true)), radius * static_cast<Real>(set.row));
      }
    }
    if (set.frobenius > 0) {
      std::vector<Real*> entries;
      std::vector<Real> direction;
      const bool pair = stream.below(2) == 0;  // two rows alone, or all
      const auto one = stream.below(rows), two = stream.below(rows);
      for (std::size_t i = 0; i < rows; ++i) {
        const Real share = pair ? (i == one || i == two ? pick(stream, true) : 0) : pick(stream, false);
        const auto row = row_of(own, i, biases);
        const auto part = along(share);
        entries.insert(entries.end(), row.begin(), row.end());
        direction.insert(direction.end(), part.begin(), part.end());
      }
      const Real radius = corner ? 1 : static_cast<Real>(stream.uniform());
      add_ball(entries, direction, radius * static_cast<Real>(set.frobenius));
    }
    if (!set.radius[m]) continue;
    const auto& box = *set.radius[m];
    for (std::size_t i = 0; i < rows; ++i) {
      for (auto& w : own.weight[i]) w += static_cast<Real>(box.uniform) * pick(stream, corner);
      own.bias[i] += static_cast<Real>(box.bias_uniform) * pick(stream, corner);
    }
  }
  std::map<Real*, Real> few;
  for (std::int64_t k = 0; k < set.budget.count && !set.budget.zero(); ++k) {
    const auto m = static_cast<std::size_t>(set.layers[stream.below(set.layers.size())]);
    const auto& each = *set.budget.each[m];
    const auto i = stream.below(change[m].weight.size());
    const auto entries = row_of(change[m], i, each.bias_uniform > 0);
    few[entries[stream.below(entries.size())]] = static_cast<Real>(each.uniform) * pick(stream, corner);
  }
  for (const auto& [entry, by] : few) *entry += by;
  return change;
}

std::vector<Real> random_image(const Dataset& data, Index n, double radius, Stream& stream) {
  auto image = image_of(data, n);
  const bool corner = stream.below(3) != 0;
  for (std::size_t k = 0; k < image.size(); ++k) {
    image[k] += static_cast<Real>(radius) * pick(stream, corner);
    if (data.least.size() == 0) continue;
    const auto i = static_cast<Index>(k);
    image[k] = std::clamp(image[k], static_cast<Real>(data.least[i]), static_cast<Real>(data.most[i]));
  }
  return image;
}

ReferenceNetwork sum(ReferenceNetwork a, const ReferenceNetwork& b) {
  for (std::size_t m = 0; m < a.size(); ++m) {
    for (std::size_t i = 0; i < a[m].bias.size(); ++i) {
      for (std::size_t j = 0; j < a[m].weight[i].size(); ++j) a[m].weight[i][j] += b[m].weight[i][j];
      a[m].bias[i] += b[m].bias[i];
    }
  }
  return a;
}

ThreatSet random_ball(const Tiny& net, Stream& stream, std::uint32_t kind) {
  LayerSet layers;
  while (layers.empty()) {
    for (int m = 0; m < net.network.layers(); ++m) {
      if (stream.below(2) == 1) layers.push_back(m);
    }
  }
  const double severity = std::pow(10.0, -3.0 + 2.7 * stream.uniform());
  const bool biases = stream.below(2) == 1;
  switch (kind % 4) {
    case 0:
      return l2_set(net.network, severity, layers, biases);
    case 1:
      return l2_row_set(net.network, severity, layers, biases);
    case 2:
      return k_weights_set(net.network, static_cast<std::int64_t>(1 + stream.below(4)), severity, layers,
                           biases);
    default:
      return linf_set(net.network, severity, layers, biases);
  }
}

std::vector<std::string> covering(const Tiny& net, const ThreatSet& set) {
  std::vector<std::string> names;
  for (const auto& entry : bound_table()) {
    if (entry.refuses(net.network, set).empty()) names.push_back(entry.name);
  }
  return names;
}

MatrixD value_of(const std::string& bound, const Tiny& net, const ThreatSet& set) {
  const auto& entry = find_bound(bound);
  REQUIRE(entry.refuses(net.network, set) == "");
  return bound_values(entry, net.network, net.data, set);
}

struct Tried {
  std::map<std::string, double> tightest;  ///< by kind of set
  double beyond = 0;                       ///< most that a member exceeded a limit by, relative
};

void try_members(const Tiny& net, const ThreatSet& set, const std::string& activation, Stream& stream,
                 Tried& tried) {
  const auto kind = to_text(set.ball) + (set.input > 0 ? " and image" : "");
  const auto names = covering(net, set);
  REQUIRE(names.size() >= 3);
  std::map<std::string, MatrixD> values;
  for (const auto& name : names) values[name] = value_of(name, net, set);
  const auto base = reference(net.network);
  for (Index n = 0; n < net.data.size(); ++n) {
    const auto image = image_of(net.data, n);
    const auto before = reference_logits(base, image, activation);
    const auto y = static_cast<std::size_t>(net.data.labels[static_cast<std::size_t>(n)]);
    for (int c = 0; c < 120; ++c) {
      const auto seen = set.input > 0 ? random_image(net.data, n, set.input, stream) : image;
      const auto change = random_change(net, set, seen, activation, stream);
      const auto after = reference_logits(sum(base, change), seen, activation);
      for (std::size_t j = 0; j < before.size(); ++j) {
        const Real drop = (before[y] - before[j]) - (after[y] - after[j]);
        for (const auto& [name, value] : values) {
          const auto limit = static_cast<Real>(value(n, static_cast<Index>(j)));
          // A change written in long double may leave its ball by a rounding error.
          if (drop > limit * (1 + 1e-16L) + 1e-18L) {
            INFO(name << ", image " << n << ", class " << j << ", " << set.key);
            REQUIRE(static_cast<double>(drop) <= static_cast<double>(limit));
          }
          if (limit > 1e-9L)
            tried.tightest[kind] = std::max(tried.tightest[kind], static_cast<double>(drop / limit));
        }
      }
    }
  }
}

void never_below(const TinyOptions& options, int networks, std::uint32_t point, double close = 0.8) {
  Tried tried;
  for (int t = 0; t < networks; ++t) {
    Stream stream(20260201, {point, static_cast<std::uint32_t>(t), 0});
    auto net = tiny(stream, options);
    auto set = random_ball(net, stream, static_cast<std::uint32_t>(t));
    // Some have a second part: a box, or a moving image, within a stated range or not.
    if (stream.below(3) == 0 && set.ball != Ball::linf) {
      set.radius = linf_set(net.network, 0.3 * set.severity, set.layers, set.biases).radius;
    }
    if (set.ball == Ball::linf || stream.below(3) == 0) {
      set = with_input(std::move(set), 0.2 * stream.uniform());
      if (!options.signed_inputs && stream.below(2) == 0) {
        net.data.least = Vector::Zero(net.data.images.cols());
        net.data.most = Vector::Ones(net.data.images.cols());
      }
    }
    INFO("network " << t);
    try_members(net, set, options.activation, stream, tried);
  }
  // The comparison has power: for every kind of set, some member comes close to some bound.
  for (const auto& [kind, share] : tried.tightest) {
    INFO(kind);
    CHECK(share > close);
  }
}

}  // namespace

TEST_CASE("no bound is below any member: balls, rows, k weights, moving images, mixed sets") {
  never_below({{2, 3, 2}, "relu", true, false, 2}, 400, 1);
  never_below({{3, 2, 2, 3}, "relu", true, true, 2}, 400, 2);
  never_below({{2, 3, 3, 2, 2}, "relu", false, true, 2}, 250, 3);
  never_below({{4, 3}, "relu", true, true, 2}, 120, 4);
}

TEST_CASE("no bound is below any member of such sets: hidden values of any sign") {
  never_below({{2, 3, 3, 2}, "tanh", true, true, 2}, 150, 5, 0.6);
  never_below({{2, 3, 3, 2}, "sigmoid", true, true, 2}, 150, 6, 0.6);
}

TEST_CASE("balls, budgets and moving images: 0 at 0, finite, growing") {
  for (std::uint32_t t = 0; t < 15; ++t) {
    Stream stream(20260202, {7, t, 0});
    const auto net = tiny(stream, {{4, 5, 4, 3}, "relu", true, t % 2 == 0, 3});
    const LayerSet layers{0, 1, 2};
    const std::vector<std::function<ThreatSet(double)>> kinds = {
        [&](double r) { return l2_set(net.network, r, layers, t % 3 == 0); },
        [&](double r) { return l2_row_set(net.network, r, layers, t % 3 == 0); },
        [&](double r) { return k_weights_set(net.network, 3, r, layers, t % 3 == 0); },
        [&](double r) { return k_weights_set(net.network, std::llround(20 * r), 0.3, layers); },
        [&](double r) { return with_input(linf_set(net.network, 0, layers, false), r); },
        [&](double r) { return with_input(l2_set(net.network, r, layers), 0.1 * r); }};
    for (std::size_t k = 0; k < kinds.size(); ++k) {
      for (const auto& bound : covering(net, kinds[k](0.1))) {
        MatrixD previous;
        for (const double severity : {0.0, 1e-9, 1e-3, 0.1, 0.3, 1.0}) {
          const auto value = value_of(bound, net, kinds[k](severity));
          INFO(bound << ", kind " << k << " at " << severity);
          REQUIRE(value.allFinite());
          REQUIRE(value.minCoeff() >= 0);
          if (severity == 0) REQUIRE(value.maxCoeff() <= 1e-12);
          if (severity >= 0.1) REQUIRE(value.maxCoeff() > 0);
          const double slack = 1e-12 + 2 * bound_slack(find_bound(bound)) * (1 + value.maxCoeff());
          if (previous.size() > 0) REQUIRE((value - previous).minCoeff() >= -slack);
          previous = value;
        }
      }
    }
  }
}

TEST_CASE("the last layer alone: every bound is the closed form of its set") {
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(20260203, {8, t, 0});
    const bool biases = t % 2 == 0;
    const auto net = tiny(stream, {{5, 4, 3}, "relu", biases, t % 3 == 0, 3});
    const double r = 0.01 + 0.2 * stream.uniform();
    const auto base = reference(net.network);
    const auto frobenius = l2_set(net.network, r, {1}, biases);
    const auto rows = l2_row_set(net.network, r, {1}, biases);
    const auto three = k_weights_set(net.network, 3, r, {1}, biases);
    for (const auto& bound : covering(net, frobenius)) {
      const auto by_frobenius = value_of(bound, net, frobenius);
      const auto by_rows = value_of(bound, net, rows);
      const auto by_three = value_of(bound, net, three);
      for (Index n = 0; n < net.data.size(); ++n) {
        auto z = layer_inputs(base, image_of(net.data, n), "relu")[1];
        if (biases) z.push_back(1);
        Real squares = 0;
        for (const Real x : z) squares += x * x;
        const auto length = static_cast<double>(std::sqrt(squares));
        std::sort(z.rbegin(), z.rend());
        // Two rows, each with the largest input; then one with the next.
        const auto largest = static_cast<double>(2 * z[0] + z[1]);
        for (Index j = 0; j < 3; ++j) {
          if (j == net.data.labels[static_cast<std::size_t>(n)]) continue;
          INFO(bound << " network " << t);
          CHECK(by_frobenius(n, j) == Approx(std::sqrt(2.0) * r * length).margin(1e-12));
          CHECK(by_rows(n, j) == Approx(2 * r * length).margin(1e-12));
          CHECK(by_three(n, j) == Approx(r * largest).margin(1e-12));
        }
      }
    }
  }
}

TEST_CASE("equal sets have equal bounds: rows of one weight, budgets for all, nothing added") {
  for (std::uint32_t t = 0; t < 40; ++t) {
    Stream stream(20260204, {9, t, 0});
    const auto narrow = tiny(stream, {{1, 4, 3}, "relu", false, t % 2 == 0, 3});
    const double r = 0.3 * stream.uniform();
    const auto rows = l2_row_set(narrow.network, r, {0}, false);
    const auto linf = linf_set(narrow.network, r, {0}, false);
    for (const auto& bound : covering(narrow, rows)) {
      INFO(bound);
      const auto a = value_of(bound, narrow, rows);
      CHECK((a - value_of(bound, narrow, linf)).cwiseAbs().maxCoeff() <= 1e-11 * (1 + a.maxCoeff()));
    }
    // A budget for every weight of the last layer is its l_inf ball.
    const auto net = tiny(stream, {{4, 4, 3}, "relu", false, t % 2 == 0, 3});
    const auto many = k_weights_set(net.network, 12, r, {1});
    const auto ball = linf_set(net.network, r, {1}, false);
    for (const auto& bound : covering(net, many)) {
      INFO(bound);
      const auto a = value_of(bound, net, many);
      CHECK((a - value_of(bound, net, ball)).cwiseAbs().maxCoeff() <= 1e-11 * (1 + a.maxCoeff()));
    }
    auto mixed = linf_set(net.network, r, {0, 1}, false);
    const auto alone = mixed;
    mixed.budget = k_weights_set(net.network, 0, 1, {0, 1}).budget;
    for (const auto& bound : covering(net, alone))
      CHECK(value_of(bound, net, mixed) == value_of(bound, net, alone));
  }
}

TEST_CASE("a stated range of images makes bounds smaller") {
  double gain = 0;
  for (std::uint32_t t = 0; t < 30; ++t) {
    Stream stream(20260205, {10, t, 0});
    auto net = tiny(stream, {{4, 5, 3}, "relu", true, false, 3});
    const auto set = with_input(linf_set(net.network, 0.01, {0, 1}, false), 0.3);
    const auto free = value_of("linear", net, set);
    net.data.least = Vector::Zero(4);
    net.data.most = Vector::Ones(4);
    gain = std::max(gain, (free - value_of("linear", net, set)).maxCoeff());
  }
  CHECK(gain > 0.01);
}

TEST_CASE("what a bound does not cover it refuses with a reason") {
  Stream stream(20260206, {11, 0, 0});
  const auto net = tiny(stream, {{3, 4, 3}, "relu", true, false, 2});
  const LayerSet all{0, 1};
  const auto bits = bits_set(net.network, "flips", 1, all);
  const std::vector<ThreatSet> sets = {bits, l2_set(net.network, 0.1, all), l2_row_set(net.network, 0.1, all),
                                       k_weights_set(net.network, 2, 0.1, all),
                                       with_input(linf_set(net.network, 0.1, all, true), 0.1)};
  for (const auto& entry : bound_table()) {
    for (const auto& set : sets) {
      const auto why = entry.refuses(net.network, set);
      INFO(entry.name << ": " << why);
      CHECK((why.empty() || why.size() > 20));
    }
  }
  for (const auto& name :
       {"norm-product", "norm-vector", "interval", "linear-fast", "linear", "linear-alpha"}) {
    CHECK(find_bound(name).refuses(net.network, bits) != "");
    for (std::size_t i = 1; i < sets.size(); ++i) CHECK(find_bound(name).refuses(net.network, sets[i]) == "");
  }
}
