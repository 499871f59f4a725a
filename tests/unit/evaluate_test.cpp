#include <algorithm>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {
constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
}  // namespace

TEST_CASE("prediction: the largest logit, the lowest index on ties, none when not finite") {
  CHECK(predict(std::vector<float>{1, 3, 3}.data(), 3) == 1);
  CHECK(predict(std::vector<float>{0.0F, -0.0F}.data(), 2) == 0);
  CHECK(predict(std::vector<float>{-0.0F, 0.0F}.data(), 2) == 0);
  CHECK(predict(std::vector<float>{-3, -2}.data(), 2) == 1);
  for (const float bad : {inf, -inf, nan_value})
    CHECK(predict(std::vector<float>{5, bad, 1}.data(), 3) == -1);
}

TEST_CASE("margin: against the best other class, in double") {
  CHECK(margin(std::vector<float>{1, 3, 2}.data(), 3, 1) == 1);
  CHECK(margin(std::vector<float>{1, 3, 2}.data(), 3, 0) == -2);
  CHECK(margin(std::vector<float>{1, 1}.data(), 2, 0) == 0);
  CHECK(margin(std::vector<float>{1.0F, 1e-10F}.data(), 2, 0) == 1.0 - static_cast<double>(1e-10F));
  for (const float bad : {inf, -inf, nan_value})
    CHECK(std::isnan(margin(std::vector<float>{5, bad}.data(), 2, 0)));
}

TEST_CASE("a NaN weight takes every image's prediction; argmax is class 0, as numpy has it") {
  Maker maker(7);
  const Network network = maker.network("6-5-4-3", "relu", true);
  Dataset data = maker.data(100, 6, 3, 0.5);
  const Evaluator evaluator(network, data);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  const TrialCounts counts = evaluator.evaluate({SparseDelta{{{0, 4, nan_value}}}}, scratch, samples);
  CHECK(counts.no_prediction == 100);
  CHECK(counts.correct == 0);
  CHECK(counts.changed == 0);
  CHECK(counts.broken == evaluator.golden().correct);
  CHECK(counts.argmax_correct == std::count(data.labels.begin(), data.labels.end(), 0));
  CHECK(counts.drop_max == std::numeric_limits<double>::infinity());
  CHECK(counts.worst_sample == 0);
  CHECK(counts.drop_sum == 0);
}

TEST_CASE("nothing changed: golden counts, no image affected, and old entries put back") {
  Maker maker(8);
  const Network network = maker.network("6-5-3", "relu", false);
  const Dataset data = maker.data(60, 6, 3, 0.2);
  const Evaluator evaluator(network, data);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  evaluator.evaluate_full({maker.faults(network, 3)}, scratch, samples);
  const TrialCounts counts = evaluator.evaluate({SparseDelta{}}, scratch, samples);
  CHECK(counts.correct == evaluator.golden().correct);
  CHECK(counts.changed + counts.broken + counts.fixed + counts.no_prediction == 0);
  CHECK(counts.drop_max == 0);
  CHECK(counts.worst_sample == 0);
  CHECK(samples.affected.empty());
  CHECK(samples.drop == std::vector<double>(60, 0.0));
  CHECK(samples.pair_drop == std::vector<double>(60, 0.0));

  const Network other = maker.network("6-3", "relu", false);
  const Evaluator second(other, data);
  Evaluator::Scratch own(second);
  const SparseDelta delta = maker.faults(other, 1);
  TrialSamples fresh;
  CHECK(second.evaluate({delta}, own, samples) == second.evaluate({delta}, own, fresh));
  CHECK(samples.drop == fresh.drop);
  CHECK(samples.pair_class == fresh.pair_class);
}
