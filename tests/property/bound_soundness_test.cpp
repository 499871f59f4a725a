#include <algorithm>
#include <cmath>
#include <numeric>

#include <catch2/catch.hpp>
#include <support/soundness.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/campaign/certify.hpp>
#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Calls visit(problem, set, entry) for random problems, every kind of set and every bound that accepts it.
template <class Visit>
void for_all(int networks, std::uint64_t seed, int images, const Visit& visit) {
  for (std::size_t k = 0; k < set_kinds().size(); ++k) {
    for (int t = 0; t < networks; ++t) {
      Stream stream(seed, {static_cast<std::uint32_t>(k), static_cast<std::uint32_t>(t), 0});
      const auto problem = soundness_case(stream, images);
      visit(problem, set_kinds()[k], stream);
    }
  }
}

const BoundEntry* named(const std::string& name) {
  const auto& table = bound_table();
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& e) { return e.name == name; });
  return found == table.end() ? nullptr : &*found;
}

bool accepts(const BoundEntry& entry, const Network& network, const ThreatSet& set) {
  return entry.refuses(network, set).empty();
}

Dataset part_of(const Dataset& data, const std::vector<Index>& rows) {
  Dataset part = data;
  part.images = data.images(rows, Eigen::all);
  part.labels.clear();
  part.index.clear();
  for (const Index n : rows) {
    part.labels.push_back(data.labels[static_cast<std::size_t>(n)]);
    part.index.push_back(data.index[static_cast<std::size_t>(n)]);
  }
  return part;
}

/// The same function with the units of every hidden layer in another order.
Network shuffled(const Network& network, Stream& stream, std::vector<std::vector<std::uint32_t>>& orders) {
  Network other = network;
  orders.clear();
  for (int m = 0; m < network.layers(); ++m) {
    Weights weights = network.weights(m);
    if (m > 0) {
      Matrix columns = weights.weight;
      for (Index j = 0; j < columns.cols(); ++j)
        columns.col(j) = weights.weight.col(orders.back()[static_cast<std::size_t>(j)]);
      weights.weight = columns;
    }
    auto order = permutation(stream, static_cast<std::uint32_t>(weights.weight.rows()));
    if (m + 1 == network.layers()) std::iota(order.begin(), order.end(), 0U);
    Weights rows = weights;
    for (Index i = 0; i < rows.weight.rows(); ++i) {
      const Index from = order[static_cast<std::size_t>(i)];
      rows.weight.row(i) = weights.weight.row(from);
      if (rows.bias.size() > 0) rows.bias(i) = weights.bias(from);
    }
    other = other.with(m, std::move(rows));
    orders.push_back(std::move(order));
  }
  return other;
}

}  // namespace

TEST_CASE("soundness: no bound is below what a search of any set it accepts reaches") {
  const auto tightest = hold_all_bounds(150, 50);
  for (const auto& [kind, bounds] : tightest) {
    double best = 0;
    for (const auto& [bound, ratio] : bounds) {
      INFO(kind << " " << bound << " " << ratio);
      CHECK(ratio > 0.3);  // the search has power against each
      best = std::max(best, ratio);
    }
    INFO(kind);
    CHECK(best > 0.99);
  }
  CHECK(tightest.size() >= 3);
}

TEST_CASE("soundness: bounds that promise to be tighter are") {
  // Tighter first. The slack is for rounding outward, which may differ.
  const std::vector<std::pair<std::string, std::string>> order{
      {"norm-vector", "norm-product"}, {"linear-fast", "interval"}, {"linear", "interval"},
      {"linear-alpha", "linear"},      {"exact", "linear-alpha"},   {"exact", "interval"}};
  std::map<std::string, int> compared;
  for_all(60, 52, 3, [&](const SoundnessCase& problem, const SetKind& kind, Stream&) {
    const auto& [network, data] = problem.tiny;
    const auto set = kind.make(network, problem.severity, problem.layers, problem.biases);
    std::map<std::string, MatrixD> values;
    for (const auto& entry : bound_table())
      if (accepts(entry, network, set)) values[entry.name] = bound_values(entry, network, data, set);
    for (const auto& [tight, loose] : order) {
      if (!values.contains(tight) || !values.contains(loose)) continue;
      ++compared[tight];
      for (Index i = 0; i < values[tight].size(); ++i) {
        const double upper = values[loose].data()[i];
        INFO(tight << " and " << loose << ", " << set.key);
        const double slack = std::max(1e-9, bound_slack(*named(tight)));
        REQUIRE(values[tight].data()[i] <= upper + slack * (1e-2 + upper));
      }
    }
  });
  for (const auto& [tight, loose] : order)
    if (named(tight) != nullptr && named(loose) != nullptr) CHECK(compared[tight] > 0);
}

TEST_CASE("soundness: bounds are 0 at severity 0 and grow with it") {
  for_all(40, 53, 3, [](const SoundnessCase& problem, const SetKind& kind, Stream&) {
    const auto& [network, data] = problem.tiny;
    for (const auto& entry : bound_table()) {
      const auto nothing = kind.make(network, 0, problem.layers, problem.biases);
      if (!accepts(entry, network, nothing)) continue;
      MatrixD before = bound_values(entry, network, data, nothing);
      INFO(entry.name << ", " << nothing.key);
      REQUIRE(before.maxCoeff() <= 1e-11 + bound_slack(entry));
      REQUIRE(before.minCoeff() >= 0);
      for (const double severity : {1e-4, 1e-3, 1e-2, 0.1}) {
        const auto value =
            bound_values(entry, network, data, kind.make(network, severity, problem.layers, problem.biases));
        INFO("severity " << severity);
        REQUIRE((value - before).minCoeff() >= -1e-11 - bound_slack(entry) * (1 + before.maxCoeff()));
        before = value;
      }
    }
  });
}

TEST_CASE("soundness: a value depends on its own image alone") {
  for_all(25, 54, 40, [](const SoundnessCase& problem, const SetKind& kind, Stream&) {
    const auto& [network, data] = problem.tiny;
    const auto set = kind.make(network, problem.severity, problem.layers, problem.biases);
    const std::vector<Index> rows{3, 17, 18, 39};
    const auto part = part_of(data, rows);
    for (const auto& entry : bound_table()) {
      if (!accepts(entry, network, set)) continue;
      const MatrixD all = bound_values(entry, network, data, set)(rows, Eigen::all);
      const MatrixD alone = bound_values(entry, network, part, set);
      INFO(entry.name << ", " << set.key);
      REQUIRE((all - alone).cwiseAbs().maxCoeff() <=
              std::max(1e-9, bound_slack(entry)) * (1 + all.maxCoeff()));
    }
  });
}

TEST_CASE("soundness: equal sets and equal networks have equal bounds") {
  for (std::uint32_t t = 0; t < 60; ++t) {
    Stream stream(55, {t, 0, 0});
    const auto problem = soundness_case(stream, 3);
    const auto& [network, data] = problem.tiny;
    const double severity = problem.severity / 4;
    const auto relative = relative_set(network, severity, problem.layers, problem.biases);
    // The same radii as a box, and layers that may not move as boxes of radius 0.
    auto radius = relative.radius;
    for (int m = 0; m < network.layers(); ++m) {
      auto& box = radius[static_cast<std::size_t>(m)];
      const auto& weight = network.weights(m).weight;
      if (!box) box = Radius{.uniform = 0, .weight = MatrixD::Zero(weight.rows(), weight.cols())};
    }
    const auto box = box_set(network, severity, radius, "box");
    std::vector<std::vector<std::uint32_t>> orders;
    const Network other = shuffled(network, stream, orders);
    for (const auto& entry : bound_table()) {
      if (!accepts(entry, network, relative)) continue;
      const auto value = bound_values(entry, network, data, relative);
      const auto as_box = bound_values(entry, network, data, box);
      const auto moved =
          bound_values(entry, other, data, relative_set(other, severity, problem.layers, problem.biases));
      // Sums in another order decide ties otherwise: what searches (linear-alpha) may end elsewhere.
      const double close = std::max(1e-9, bound_slack(entry)) * (1 + value.maxCoeff());
      const double slack = entry.name == "linear-alpha" ? 1e-3 * (1 + value.maxCoeff()) : close;
      INFO(entry.name << ", network " << t);
      CHECK((value - as_box).cwiseAbs().maxCoeff() <= close);
      CHECK((value - moved).cwiseAbs().maxCoeff() <= slack);
    }
  }
}

TEST_CASE("soundness: no attack of the table takes away a label that a bound proves") {
  const std::map<std::string, std::vector<double>> severities{
      {"eps", {1e-3, 1e-2, 0.1}}, {"r", {1e-2}},           {"radius", {1e-2}},
      {"bits", {8, 5, 3}},        {"flips", {1, 3}},       {"ber", {1e-3, 1e-2}},
      {"rate", {1e-3, 1e-2}},     {"sigma", {1e-3, 1e-2}}, {"delta", {1e-2}}};
  std::map<std::string, std::int64_t> proven_by, flipped_by;
  for (std::uint32_t t = 0; t < 6; ++t) {
    Stream stream(56, {t, 0, 0});
    auto net = tiny(stream, {{8, 10, 8, 4}, "relu", t % 2 == 0, t % 3 == 0, 40});
    const Matrix clean = logits(net.network, net.network.view(), net.data.images);
    for (Index n = 0; n < net.data.size(); ++n)
      net.data.labels[static_cast<std::size_t>(n)] = predict(clean.row(n).data(), clean.cols());
    for (const std::string format : {"fp32", "int8"}) {
      const auto stored = store(net.network, find_format(format));
      const Evaluator evaluator(stored.network, net.data);
      Evaluator::Scratch scratch(evaluator);
      TrialSamples samples;
      const auto pairs = [&] {
        MatrixD rows = evaluator.golden().logits().cast<double>();
        for (Index n = 0; n < rows.rows(); ++n)
          rows.row(n) = rows(n, net.data.labels[static_cast<std::size_t>(n)]) - rows.row(n).array();
        return rows;
      }();
      for (const auto& attack : attack_table()) {
        if (attack.stored_codes && format == "fp32") continue;
        // Fault maps and faults in activations: no bound takes them.
        const bool map = std::any_of(attack.params.begin(), attack.params.end(),
                                     [](const auto& spec) { return spec.type == ParamType::file; });
        if (map || attack.base != nullptr) continue;
        std::map<std::string, std::string> given;
        for (const auto& spec : attack.params) {
          if (spec.name == "scope") given["scope"] = t % 2 == 0 ? "sample" : "universal";
          if (spec.name == "steps") given["steps"] = "15";
        }
        const Params params("attack '" + attack.name + "'", attack.params, given);
        const auto quantity = attack.quantity(params);
        INFO(attack.name << " measures " << quantity.name);
        REQUIRE(severities.contains(quantity.name));
        for (const double severity : severities.at(quantity.name)) {
          const auto made =
              make_attack(attack, {stored.network, net.data, find_format(format),
                                   t % 2 == 0 ? LayerSet{0, 1, 2} : LayerSet{1}, severity, params, &stored});
          const auto set = made->threat();
          std::vector<std::pair<std::string, std::vector<bool>>> proofs;
          for (const auto& bound : bound_table()) {
            if (!accepts(bound, stored.network, set)) continue;
            const auto values =
                bound.compute({stored.network, net.data, set, true, checked_params(bound, {})});
            const MatrixD total =
                values.arithmetic.size() > 0 ? MatrixD(values.value + values.arithmetic) : values.value;
            proofs.emplace_back(bound.name, proven_labels(pairs, total, net.data.labels));
          }
          for (std::uint32_t trial = 0; trial < 3; ++trial) {
            evaluator.evaluate(made->perturb(Stream(57, {t, trial, 0})), scratch, samples);
            for (std::size_t n = 0; n < samples.drop.size(); ++n) {
              const bool flipped = !(evaluator.golden().margin[n] - samples.drop[n] > 0);
              for (const auto& [bound, proven] : proofs) {
                INFO(attack.name << " against " << bound << ", " << set.key << ", image " << n);
                REQUIRE_FALSE((flipped && proven[n]));
                if (proven[n]) ++proven_by[bound];
                if (flipped) ++flipped_by[attack.name];
              }
            }
          }
        }
      }
    }
  }
  // The comparison has power: bounds prove labels, attacks take some away.
  CHECK(proven_by["linear"] > 1000);
  CHECK(flipped_by["weight-pgd"] > 100);
}
