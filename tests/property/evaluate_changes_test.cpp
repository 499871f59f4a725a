#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Bench {
  Network network;
  Dataset data;
  Evaluator evaluator;
  Evaluator::Scratch scratch;
  TrialSamples fast;
  TrialSamples full;

  Bench(Network net, Dataset set)
      : network(std::move(net)), data(std::move(set)), evaluator(network, data), scratch(evaluator) {}
};

/// Counts equal; drops equal to rounding, relative to the logits' size; rows not listed as affected did not
/// move.
void check_same(Bench& bench, const SparseDelta& delta) {
  const TrialCounts fast = bench.evaluator.evaluate({delta}, bench.scratch, bench.fast);
  const TrialCounts full = bench.evaluator.evaluate_full({delta}, bench.scratch, bench.full);
  const Change& change = delta.changes.front();
  CAPTURE(bench.network.summary(), change.layer, change.index, change.after);
  REQUIRE(fast.correct == full.correct);
  REQUIRE(fast.changed == full.changed);
  REQUIRE(fast.changed_top5 == full.changed_top5);
  REQUIRE(fast.broken == full.broken);
  REQUIRE(fast.fixed == full.fixed);
  REQUIRE(fast.no_prediction == full.no_prediction);
  REQUIRE(fast.argmax_correct == full.argmax_correct);
  double largest = 1;
  for (std::size_t n = 0; n < bench.full.drop.size(); ++n) {
    const double wanted = bench.full.drop[n];
    const double got = bench.fast.drop[n];
    if (std::isinf(wanted) || std::isinf(got)) {
      REQUIRE(wanted == got);
      continue;
    }
    largest = std::max({largest, std::fabs(wanted), std::fabs(bench.full.pair_drop[n])});
  }
  const double tolerance = 1e-4 * largest;
  std::size_t place = 0;
  for (std::size_t n = 0; n < bench.full.drop.size(); ++n) {
    if (std::isinf(bench.full.drop[n])) continue;
    REQUIRE(std::fabs(bench.fast.drop[n] - bench.full.drop[n]) <= tolerance);
    REQUIRE(std::fabs(bench.fast.pair_drop[n] - bench.full.pair_drop[n]) <= tolerance);
  }
  for (std::size_t n = 0; n < bench.full.drop.size(); ++n) {
    if (place < bench.fast.affected.size() && bench.fast.affected[place] == static_cast<std::int32_t>(n)) {
      ++place;
      continue;
    }
    REQUIRE(bench.fast.drop[n] == 0);
    REQUIRE(bench.fast.pair_drop[n] == 0);
  }
  REQUIRE(place == bench.fast.affected.size());
  REQUIRE((std::isinf(full.drop_max) ? fast.drop_max == full.drop_max
                                     : std::fabs(fast.drop_max - full.drop_max) <= tolerance));
  const auto worst = static_cast<std::size_t>(fast.worst_sample);
  REQUIRE((std::isinf(full.drop_max) ? fast.worst_sample == full.worst_sample
                                     : bench.full.drop[worst] >= full.drop_max - tolerance));
}

}  // namespace

TEST_CASE("small changes count as full inference does, on random networks") {
  Maker maker(11);
  const std::string archs[] = {"6-5-4-3", "4-7-6", "3-4", "5-8-6-4-7", "9-3-2"};
  const std::string activations[] = {"relu", "tanh", "sigmoid"};
  for (int round = 0; round < 1500; ++round) {
    const bool whole = round % 3 == 0;
    const Network network =
        maker.network(archs[maker.below(5)], round % 2 == 0 ? "relu" : activations[maker.below(3)],
                      maker.below(2) == 0, whole);
    const Dataset data =
        maker.data(20 + maker.below(60), network.input().size(), network.classes(), 0.5, whole);
    Bench bench(network, data);
    for (int trial = 0; trial < 8; ++trial) {
      const SparseDelta delta = maker.faults(network, trial < 6 ? 1 : 1 + maker.below(6));
      check_same(bench, delta);
    }
  }
}

TEST_CASE("every bit of every weight of small networks") {
  Maker maker(12);
  for (int round = 0; round < 6; ++round) {
    const bool whole = round % 2 == 0;
    const Network network = maker.network("4-5-6-7", "relu", round % 3 == 0, whole);
    Bench bench(network, maker.data(64, 4, 7, 0.4, whole));
    for (int layer = 0; layer < network.layers(); ++layer) {
      const Matrix& weight = network.weights(layer).weight;
      for (Index index = 0; index < weight.size(); ++index) {
        for (int bit = 0; bit < 32; ++bit) {
          const float after =
              std::bit_cast<float>(std::bit_cast<std::uint32_t>(weight.data()[index]) ^ (1U << bit));
          check_same(bench,
                     {{{static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(index), after}}});
        }
      }
    }
  }
}

TEST_CASE("ties made on purpose: equal rows of the last layer, and changes that restore a tie") {
  Maker maker(13);
  for (int round = 0; round < 200; ++round) {
    Network network = maker.network("6-8-7", "relu", false);
    Weights last = network.weights(1);
    for (Index i = 1; i < 7; ++i) last.weight.row(i) = last.weight.row(0);
    const auto index = static_cast<std::uint32_t>(maker.below(last.weight.size()));
    const float before = last.weight.data()[index];
    if (round % 2 == 0) last.weight.data()[index] = std::nextafter(before, 2.0F);
    network = network.with(1, last);
    Bench bench(network, maker.data(50, 6, 7, 0.3));
    check_same(bench, {{{1, index, round % 2 == 0 ? before : std::nextafter(before, -2.0F)}}});
    check_same(bench, {{{0, static_cast<std::uint32_t>(maker.below(48)), maker.real()}}});
  }
}

TEST_CASE("many images: strips and blocks, and rows in order") {
  Maker maker(14);
  Bench bench(maker.network("12-20-16-10", "relu", true), maker.data(2500, 12, 10, 0.5));
  for (int trial = 0; trial < 150; ++trial) check_same(bench, maker.faults(bench.network, 1 + trial % 3));
}
