#include <cmath>
#include <limits>
#include <map>

#include <catch2/catch.hpp>
#include <support/networks.hpp>
#include <support/tiny.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/importance.hpp>
#include <temblor/perturb/protection.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A random 8-16-12-3 network in a format: 356 weights.
struct Bench {
  explicit Bench(const std::string& format)
      : stored(store(random_network("8-16-12-3", 7, true), find_format(format))) {
    data.images = Matrix::Random(40, 8).cwiseAbs();
    for (int n = 0; n < 40; ++n) data.labels.push_back(n % 3);
  }
  StoredNetwork stored;
  Dataset data;

  std::unique_ptr<Protection> make(const std::string& text) const {
    const auto choice = parse_protection(text);
    return choice.entry->make({stored, data, choice.params});
  }
  std::uint64_t bits() const {
    std::uint64_t sum = 0;
    for (const auto& codes : stored.codes)
      sum += codes.codes.size() * static_cast<std::uint64_t>(codes.format->bits);
    return sum;
  }
};

struct Met {
  ProtectionCounts counts;
  std::map<std::pair<std::uint32_t, std::uint32_t>, float> weights;  ///< that differ
  std::size_t faults;
};

Met meet(const Bench& bench, const std::string& text, const std::vector<BitAddress>& bits, double rate = 0,
         const LayerSet& layers = {0, 1, 2}, bool nested = false) {
  auto perturbation = with_faults(bench.stored.codes, flips_of(bench.stored.codes, bits));
  Met met;
  met.counts = bench.make(text)->apply({layers, rate, nested}, Stream(9, {1, 2, 3}), perturbation);
  met.faults = perturbation.faults.size();
  for (const auto& change : std::get<SparseDelta>(perturbation.delta).changes) {
    CHECK(met.weights.emplace(std::pair{change.layer, change.index}, change.after).second);
  }
  return met;
}

std::string problem(const std::string& text) {
  try {
    parse_protection(text);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("protections are named with their parameters, and wrong ones refused") {
  CHECK(parse_protection("secded-72-64").text() == "secded-72-64");
  CHECK(parse_protection("parity:width=64").text() == "parity");
  CHECK(parse_protection("parity:width=8:check-bits=safe").text() == "parity:check-bits=safe:width=8");
  CHECK(parse_protection("none").none());
  CHECK_FALSE(parse_protection("clip").none());
  CHECK(problem("secded-72-65").find("secded-72-64") != std::string::npos);
  CHECK(problem("parity:widht=8").find("width") != std::string::npos);
  CHECK(problem("parity:width=65").find("64") != std::string::npos);
  CHECK(problem("parity:8").find("parameter=value") != std::string::npos);
  CHECK(problem("parity:width=8:width=9").find("twice") != std::string::npos);
  CHECK(problem("clip:to=somewhere").find("limit") != std::string::npos);
  CHECK(problem("").find("protection") != std::string::npos);
}

TEST_CASE("SECDED of stored codes: one bit a word is repaired, two make its weights 0, three may slip") {
  const Bench bench("int8");
  // Words of 64 bits hold eight codes.
  const auto one = meet(bench, "secded-72-64", {{0, 0, 7}, {0, 8, 3}, {1, 5, 0}});
  CHECK(one.weights.empty());
  CHECK(one.counts.corrected == 3);
  CHECK(one.faults == 3);

  const auto two = meet(bench, "secded-72-64", {{0, 1, 7}, {0, 6, 2}});
  CHECK(two.counts.detected == 1);
  REQUIRE(two.weights.size() == 8);
  for (std::uint32_t i = 0; i < 8; ++i) CHECK(two.weights.at({0, i}) == 0.0F);

  const auto kept = meet(bench, "secded-72-64:on-detect=keep", {{0, 1, 7}, {0, 6, 2}});
  CHECK(kept.counts.detected == 1);
  REQUIRE(kept.weights.size() == 2);
  const auto& codes = bench.stored.codes[0];
  CHECK(kept.weights.at({0, 1}) == codes.decode(1, codes.codes[1] ^ 0x80U));

  // Columns 0b111, 0b1011, 0b1101 sum to 1: a check bit is "repaired", the three bits stay wrong.
  const auto three = meet(bench, "secded-72-64", {{0, 0, 0}, {0, 0, 1}, {0, 0, 2}});
  CHECK(three.counts.miscorrected == 1);
  REQUIRE(three.weights.size() == 1);
  CHECK(three.weights.at({0, 0}) == codes.decode(0, codes.codes[0] ^ 7U));
}

TEST_CASE("weights across two words are 0 when one of the words is lost") {
  const Bench bench("int6");  // weight 10 has bits 60 .. 65
  const auto met = meet(bench, "secded-72-64", {{0, 0, 0}, {0, 0, 1}});
  CHECK(met.counts.detected == 1);
  CHECK(met.weights.size() == 11);
  CHECK(met.weights.count({0, 10}) == 1);
}

TEST_CASE("parity sees odd numbers of wrong bits") {
  const Bench bench("int8");
  const auto odd = meet(bench, "parity:width=8", {{0, 3, 1}, {2, 4, 0}, {2, 4, 1}, {2, 4, 2}});
  CHECK(odd.counts.detected == 2);
  CHECK(odd.weights.size() == 2);
  CHECK(odd.weights.at({0, 3}) == 0.0F);
  const auto even = meet(bench, "parity:width=8", {{0, 3, 1}, {0, 3, 5}});
  CHECK(even.counts.undetected == 1);
  CHECK(even.counts.detected == 0);
  const auto& codes = bench.stored.codes[0];
  CHECK(even.weights.at({0, 3}) == codes.decode(3, codes.codes[3] ^ 0x22U));
}

TEST_CASE("check bits are hit at the attack's rate, from the protection's own stream, unless they are safe") {
  const Bench bench("int8");
  const auto hit = meet(bench, "secded-72-64", {}, 0.5);
  CHECK(hit.counts.check_faults > 100);
  CHECK(hit.faults == 0);
  CHECK(meet(bench, "secded-72-64", {}, 0.5).weights == hit.weights);
  CHECK(meet(bench, "secded-72-64:check-bits=safe", {}, 0.5).counts.check_faults == 0);
  CHECK(meet(bench, "secded-72-64", {}, 1.0).counts.check_faults == 45 * 8);
  // Only words of the faulted layers: weights 0 .. 127 of layer 0 are 16 words, layer 1 has 24, layer 2 the
  // rest.
  CHECK(meet(bench, "secded-72-64", {}, 1.0, {1}).counts.check_faults == 24 * 8);
  // One data bit and its word's parity bit: nobody notices.
  const auto both = meet(bench, "parity:width=8", {{0, 3, 1}}, 1.0);
  CHECK(both.counts.undetected == 1);
  CHECK(both.counts.detected == 356 - 1);
}

TEST_CASE("nested rates hit nested check bits") {
  const Bench bench("int8");
  const auto low = meet(bench, "parity:width=8", {}, 0.05, {0, 1, 2}, true);
  const auto high = meet(bench, "parity:width=8", {}, 0.2, {0, 1, 2}, true);
  CHECK(low.counts.check_faults > 0);
  CHECK(high.counts.check_faults > low.counts.check_faults);
  for (const auto& [weight, after] : low.weights) CHECK(high.weights.count(weight) == 1);
}

TEST_CASE("triple modular redundancy outvotes one copy, and loses to two") {
  const Bench bench("int8");
  const auto one = meet(bench, "tmr", {{0, 3, 1}, {0, 3, 5}, {1, 0, 0}});
  CHECK(one.weights.empty());
  CHECK(one.counts.corrected == 2);
  // Both copies of every bit are wrong: every code is inverted, whatever the first copy is.
  const auto lost = meet(bench, "tmr", {{0, 3, 1}}, 1.0);
  CHECK(lost.counts.check_faults == static_cast<std::int64_t>(2 * bench.bits()));
  CHECK(lost.counts.miscorrected == 356);
  REQUIRE(lost.weights.size() == 356);
  const auto& codes = bench.stored.codes[0];
  CHECK(lost.weights.at({0, 3}) == codes.decode(3, codes.codes[3] ^ 0xffU));
  // One copy of some bits: the number of weights that stay wrong follows from the votes of the same stream.
  const auto some = meet(bench, "tmr", {}, 0.1);
  CHECK(some.counts.miscorrected == static_cast<std::int64_t>(some.weights.size()));
  CHECK(some.counts.miscorrected > 0);
  CHECK(some.counts.corrected > some.counts.miscorrected);
}

TEST_CASE("selective redundancy protects the most important weights alone") {
  const Bench bench("int8");
  const auto scores = magnitude_importance(bench.stored.network);
  const auto chosen = most_important(scores, 36);
  std::size_t count = 0;
  double least = 1e9, most = 0;
  std::vector<BitAddress> all;
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    count += chosen[layer].size();
    for (std::uint32_t i = 0; i < scores[layer].size(); ++i) {
      all.push_back({layer, i, 6});
      const bool in = std::binary_search(chosen[layer].begin(), chosen[layer].end(), i);
      if (in) least = std::min(least, scores[layer][i]);
      if (!in) most = std::max(most, scores[layer][i]);
    }
  }
  CHECK(count == 36);
  CHECK(least >= most);
  const auto met = meet(bench, "tmr-selective:by=magnitude", all);
  CHECK(met.counts.corrected == 36);
  CHECK(met.counts.undetected == 356 - 36);
  CHECK(met.weights.size() == 356 - 36);
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    for (const auto i : chosen[layer]) CHECK(met.weights.count({layer, i}) == 0);
  }
  CHECK(meet(bench, "tmr-selective", all).counts.corrected == 36);
  CHECK(meet(bench, "tmr-selective:fraction=1", all).weights.empty());
  CHECK(meet(bench, "tmr-selective:fraction=0", all).weights.size() == 356);
}

TEST_CASE("gradient importance is the gradient of the mean cross-entropy, by differences") {
  const Bench bench("fp32");
  const auto& network = bench.stored.network;
  const auto loss = [&](const Network& moved) {
    const MatrixD logits = temblor::logits(moved, moved.view(), bench.data.images).cast<double>();
    double sum = 0;
    for (Index n = 0; n < logits.rows(); ++n) {
      const double most = logits.row(n).maxCoeff();
      sum += std::log((logits.row(n).array() - most).exp().sum()) + most -
             logits(n, bench.data.labels[static_cast<std::size_t>(n)]);
    }
    return sum / static_cast<double>(logits.rows());
  };
  const auto scores = gradient_importance(network, bench.data);
  for (const auto& [layer, index] : {std::pair{0, 5}, std::pair{1, 100}, std::pair{2, 30}}) {
    const auto moved = [&](float by) {
      Weights weights = network.weights(layer);
      weights.weight.data()[index] += by;
      return loss(network.with(layer, std::move(weights)));
    };
    // A step small enough for no ReLU to switch.
    const double slope = (moved(1e-4F) - moved(-1e-4F)) / 2e-4;
    CHECK(scores[static_cast<std::size_t>(layer)][static_cast<std::size_t>(index)] ==
          Approx(std::fabs(slope)).epsilon(0.02).margin(2e-3));
  }
}

TEST_CASE("clipping holds weights within the range of their layer") {
  const Bench bench("fp32");
  const auto& weight = bench.stored.network.weights(0).weight;
  const float inf = std::numeric_limits<float>::infinity();
  const auto clip = bench.make("clip");
  const auto zero = bench.make("clip:to=zero");
  Perturbation perturbation{SparseDelta{{{0, 0, inf}, {0, 1, -1e30F}, {0, 2, std::nanf("")}, {0, 3, 0.0F}}}};
  auto copy = perturbation;
  const LayerSet layers{0};
  const auto counts = clip->apply({layers}, Stream(1, {}), perturbation);
  CHECK(counts.detected == 3);
  const auto& changes = std::get<SparseDelta>(perturbation.delta).changes;
  CHECK(changes[0].after == weight.maxCoeff());
  CHECK(changes[1].after == weight.minCoeff());
  CHECK(changes[2].after == 0.0F);
  CHECK(changes[3].after == 0.0F);
  const auto box = linf_set(bench.stored.network, 0.1, layers, false);
  CHECK(clip->stays_in(box));
  CHECK_FALSE(zero->stays_in(box));
  CHECK_FALSE(clip->stays_in(bits_set(bench.stored.network, "ber", 0.1, layers)));
  zero->apply({layers}, Stream(1, {}), copy);
  CHECK(std::get<SparseDelta>(copy.delta).changes[0].after == 0.0F);

  DenseDelta dense;
  dense.layers.resize(3);
  dense.layers[1] = bench.stored.network.weights(1);
  dense.layers[1]->weight *= 3;
  Perturbation whole{dense};
  CHECK(clip->apply({layers}, Stream(1, {}), whole).detected > 0);
  const auto& clipped = std::get<DenseDelta>(whole.delta).layers[1]->weight;
  CHECK(clipped.maxCoeff() == bench.stored.network.weights(1).weight.maxCoeff());
  CHECK(clipped.minCoeff() == bench.stored.network.weights(1).weight.minCoeff());
}

TEST_CASE("bits that all codes of a layer share are never wrong") {
  // Weights below 2 have no highest exponent bit (30), and their signs differ (31).
  Bench bench("fp32");
  Weights halves = bench.stored.network.weights(0);
  halves.weight *= 0.5F;
  bench.stored = store(bench.stored.network.with(0, halves), find_format("fp32"));
  REQUIRE(bench.stored.network.weights(0).weight.cwiseAbs().maxCoeff() < 2);
  const auto met = meet(bench, "fixed-bits", {{0, 3, 30}, {0, 4, 30}, {0, 4, 31}, {0, 5, 31}});
  CHECK(met.counts.corrected == 1);
  CHECK(met.counts.undetected == 2);
  REQUIRE(met.weights.size() == 2);
  const float* weight = bench.stored.network.weights(0).weight.data();
  CHECK(met.weights.at({0, 4}) == -weight[4]);
  CHECK(met.weights.at({0, 5}) == -weight[5]);
}

TEST_CASE("every protection counts the bits it adds") {
  const Bench int8("int8");  // 356 weights, 2848 bits: 44.5 words of 64 bits, 89 of 32
  CHECK(int8.make("none")->overhead_bits() == 0);
  CHECK(int8.make("secded-72-64")->overhead_bits() == 45 * 8);
  CHECK(int8.make("secded-39-32")->overhead_bits() == 89 * 7);
  CHECK(int8.make("parity")->overhead_bits() == 45);
  CHECK(int8.make("parity:width=8")->overhead_bits() == 356);
  CHECK(int8.make("tmr")->overhead_bits() == 2 * 2848);
  // 36 weights of 356: two copies each, and 9 bits to say which, or one bit a weight.
  CHECK(int8.make("tmr-selective")->overhead_bits() == 36 * (16 + 9));
  CHECK(int8.make("tmr-selective:fraction=0.5")->overhead_bits() == 178 * 16 + 356);
  CHECK(int8.make("fixed-bits")->overhead_bits() == 3 * 16);
  CHECK(int8.make("clip")->overhead_bits() == 3 * 64);
  CHECK(int8.make("ranger")->overhead_bits() == 2 * 64);
  const Bench int6("int6");  // 2136 bits: 33.4 words
  CHECK(int6.make("secded-72-64")->overhead_bits() == 34 * 8);
}
