#include <algorithm>
#include <bit>
#include <cmath>
#include <iostream>
#include <limits>

#include <catch2/catch.hpp>
#include <support/fashion.hpp>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using temblor::testing::trained_on_fashion;

TEST_CASE("single-bit faults on Fashion-MNIST count as full inference does") {
  Dataset data;
  try {
    data = load_dataset({"fashion-mnist", Split::test, "", "first:1000"}, {});
  } catch (const Error& error) {
    std::cout << "skipped: " << error.what() << '\n';
    return;
  }
  const Network network = trained_on_fashion("784-128-64-32-10", 6000);
  const Evaluator evaluator(network, data);
  REQUIRE(evaluator.golden().correct > 500);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples fast_samples;
  TrialSamples full_samples;
  Stream stream(31, {});
  double furthest = 0;
  std::int64_t changed = 0;
  for (int trial = 0; trial < 160; ++trial) {
    const auto layer = static_cast<std::uint32_t>(trial % 4);
    const Matrix& weight = network.weights(static_cast<int>(layer)).weight;
    const auto index = static_cast<std::uint32_t>(stream.below(static_cast<std::uint64_t>(weight.size())));
    // Every third fault in the exponent or sign, where Inf, NaN and overflow are.
    const auto bit = static_cast<std::uint32_t>(trial % 3 == 0 ? 23 + stream.below(9) : stream.below(32));
    float after = std::bit_cast<float>(std::bit_cast<std::uint32_t>(weight.data()[index]) ^ (1U << bit));
    if (trial % 40 == 0) after = std::numeric_limits<float>::infinity() * (trial % 80 == 0 ? 1.0F : -1.0F);
    const Perturbation fault{SparseDelta{{{layer, index, after}}}};
    const TrialCounts fast = evaluator.evaluate(fault, scratch, fast_samples);
    const TrialCounts full = evaluator.evaluate_full(fault, scratch, full_samples);
    CAPTURE(layer, index, bit, after);
    REQUIRE(fast.correct == full.correct);
    REQUIRE(fast.changed == full.changed);
    REQUIRE(fast.changed_top5 == full.changed_top5);
    REQUIRE(fast.broken == full.broken);
    REQUIRE(fast.fixed == full.fixed);
    REQUIRE(fast.no_prediction == full.no_prediction);
    REQUIRE(fast.argmax_correct == full.argmax_correct);
    changed += full.changed;
    double largest = 1;
    for (std::size_t n = 0; n < full_samples.drop.size(); ++n) {
      if (!std::isinf(full_samples.drop[n]))
        largest = std::max(largest, std::fabs(full_samples.pair_drop[n]));
    }
    for (std::size_t n = 0; n < full_samples.drop.size(); ++n) {
      if (std::isinf(full_samples.drop[n]) && std::isinf(fast_samples.drop[n])) continue;
      furthest = std::max(furthest, std::fabs(fast_samples.drop[n] - full_samples.drop[n]) / largest);
    }
  }
  CHECK(changed > 500);
  // Infinite when only one side is. Logits of about 10 in float32: rounding is about 1e-6 of the largest
  // drop.
  CHECK(furthest < 1e-5);
}
