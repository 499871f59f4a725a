#include <cmath>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Full inference agrees with the oracle in every figure and image.
void check_full(const Naive& wanted, const TrialCounts& counts, const TrialSamples& samples) {
  REQUIRE(counts == wanted.counts);
  REQUIRE(samples.drop == wanted.drop);
  REQUIRE(samples.pair_drop == wanted.pair_drop);
  REQUIRE(samples.pair_class == wanted.pair_class);
}

/// The same up to the rounding of a few changed weights in the dense layers that a network ends with.
void check_rounded(const Naive& wanted, TrialCounts counts, const TrialSamples& samples) {
  for (std::size_t n = 0; n < wanted.drop.size(); ++n) {
    if (std::isfinite(wanted.drop[n])) {
      REQUIRE(samples.drop[n] == Approx(wanted.drop[n]).margin(1e-5));
    } else {
      REQUIRE(samples.drop[n] == wanted.drop[n]);
    }
  }
  counts.drop_sum = wanted.counts.drop_sum;
  counts.drop_max = wanted.counts.drop_max;
  counts.worst_sample = wanted.counts.worst_sample;
  REQUIRE(counts == wanted.counts);
}

/// Dense layers with a skip connection: x -> a -> relu -> b, b + a -> c, and a second use of the image.
Network skip_network(Maker& maker, Index inputs, Index hidden, Index classes) {
  Network network({{inputs}}, {});
  const auto weights = [&](Index outputs, Index from) {
    return Weights{maker.matrix(outputs, from), maker.matrix(outputs, 1).col(0)};
  };
  network.add(make_layer("dense"), weights(hidden, inputs));        // 0
  network.add(make_layer("relu"));                                  // 1
  network.add(make_layer("dense"), weights(hidden, hidden));        // 2
  network.add(make_sum(), {}, {2, 1});                              // 3
  network.add(make_layer("relu"));                                  // 4
  network.add(make_layer("dense"), weights(hidden, inputs), {-1});  // 5
  network.add(make_sum(), {}, {4, 5});                              // 6
  network.add(make_layer("tanh"), {}, {6});                         // 7
  network.add(make_layer("dense"), weights(classes, hidden), {7});  // 8
  return network;
}

}  // namespace

TEST_CASE("full inference counts as the definitions say") {
  Maker maker(1);
  for (int round = 0; round < 300; ++round) {
    const bool whole = round % 3 == 0;
    const Network network = maker.network(round % 2 == 0 ? "6-5-7" : "5-4-4-3", "relu", round % 4 < 2, whole);
    const Dataset data = maker.data(40, network.input().size(), network.classes(), 0.4, whole);
    const Evaluator evaluator(network, data);
    Evaluator::Scratch scratch(evaluator);
    TrialSamples samples;
    for (int trial = 0; trial < 4; ++trial) {
      const SparseDelta delta = maker.faults(network, 1 + maker.below(3));
      const TrialCounts counts = evaluator.evaluate_full({delta}, scratch, samples);
      check_full(naive(network, data, perturbed_weights(network, delta)), counts, samples);
      REQUIRE(samples.affected.size() == 40);
    }
  }
}

TEST_CASE("graphs with skip connections: faults and whole layers") {
  Maker maker(2);
  for (int round = 0; round < 100; ++round) {
    const Network network = skip_network(maker, 5, 6, 4);
    const Dataset data = maker.data(300, 5, 4, 0.5);
    const Evaluator evaluator(network, data);
    Evaluator::Scratch scratch(evaluator);
    TrialSamples samples;
    for (int trial = 0; trial < 6; ++trial) {
      const SparseDelta delta = maker.faults(network, 1 + maker.below(3));
      const Naive wanted = naive(network, data, perturbed_weights(network, delta));
      const TrialCounts counts = evaluator.evaluate({delta}, scratch, samples);
      if (delta.changes.front().layer == 3) {
        check_rounded(wanted, counts, samples);
      } else {
        check_full(wanted, counts, samples);
      }
      check_full(wanted, evaluator.evaluate_full({delta}, scratch, samples), samples);
    }
    DenseDelta dense;
    dense.layers.resize(4);
    const auto layer = static_cast<std::size_t>(maker.below(4));
    dense.layers[layer] = network.weights(static_cast<int>(layer));
    dense.layers[layer]->weight *= 1.01F;
    const Naive wanted = naive(network, data, dense.layers);
    check_full(wanted, evaluator.evaluate({dense}, scratch, samples), samples);
    check_full(wanted, evaluator.evaluate_full({dense}, scratch, samples), samples);
  }
}

TEST_CASE("golden logits that overflow: every image is folded") {
  Maker maker(3);
  Network network = maker.network("4-5-3", "relu", true);
  Weights huge = network.weights(1);
  huge.weight *= 3e38F;
  Weights large = network.weights(0);
  large.weight *= 50.0F;
  network = network.with(1, huge).with(0, large);
  const Dataset data = maker.data(50, 4, 3, 0.3);
  const Evaluator evaluator(network, data);
  CHECK(evaluator.golden().no_prediction > 0);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  for (int trial = 0; trial < 50; ++trial) {
    const SparseDelta delta = trial == 0 ? SparseDelta{} : maker.faults(network, 1);
    const Naive wanted = naive(network, data, perturbed_weights(network, delta));
    check_full(wanted, evaluator.evaluate({delta}, scratch, samples), samples);
  }
}
