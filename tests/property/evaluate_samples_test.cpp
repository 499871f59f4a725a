#include <bit>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

#include <temblor/evaluate/evaluator.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/perturb/sample.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

SampleDelta random_slack(Maker& maker, const Network& network, ThreatSet set, Index images) {
  SampleDelta delta;
  delta.slack.resize(static_cast<std::size_t>(network.layers()));
  for (const int layer : set.layers) {
    Matrix& slack = delta.slack[static_cast<std::size_t>(layer)];
    slack = maker.matrix(images, network.weights(layer).weight.rows());
    if (set.ball == Ball::l2) {
      slack.rowwise().normalize();
    } else {
      for (float& s : slack.reshaped()) s = maker.below(3) == 0 ? s : (s < 0 ? -1.0F : 1.0F);
    }
  }
  delta.set = std::move(set);
  return delta;
}

}  // namespace

TEST_CASE("moving many weights gives the floats of moving each") {
  Maker maker(21);
  std::vector<float> base(37), after(37);
  std::vector<double> delta(37), radius(37);
  for (int round = 0; round < 1000; ++round) {
    for (std::size_t i = 0; i < base.size(); ++i) {
      base[i] =
          maker.below(20) == 0 ? 0.0F : std::ldexp(maker.real(), static_cast<int>(maker.below(60)) - 50);
      radius[i] =
          std::fabs(std::ldexp(static_cast<double>(maker.real()), static_cast<int>(maker.below(60)) - 50));
      if (maker.below(3) == 0) radius[i] = 1e-3;
      const double s = maker.below(2) == 0 ? 1.0 : static_cast<double>(maker.real());
      delta[i] = maker.below(2) == 0 ? radius[i] * s : -radius[i] * s;
      if (maker.below(30) == 0) base[i] = static_cast<float>(-delta[i]);
      if (maker.below(30) == 0) radius[i] = std::fabs(delta[i]);
    }
    move_many(base.data(), delta.data(), radius.data(), std::ssize(base), after.data());
    for (std::size_t i = 0; i < base.size(); ++i) {
      CAPTURE(base[i], delta[i], radius[i]);
      REQUIRE(std::bit_cast<std::uint32_t>(after[i]) ==
              std::bit_cast<std::uint32_t>(moved(base[i], delta[i], radius[i])));
    }
  }
}

TEST_CASE("per-image weights: column by column equals making each image's weights") {
  Maker maker(22);
  for (int round = 0; round < 60; ++round) {
    const Network network = maker.network("9-7-6-4", round % 4 == 0 ? "tanh" : "relu", round % 2 == 0);
    const Index images = 70;
    const Dataset data = maker.data(images, 9, 4, 0.4);
    const LayerSet layers = parse_layers(round % 3 == 0 ? "all" : round % 3 == 1 ? "0,2" : "1", network);
    const bool biases = round % 2 == 0;
    const ThreatSet sets[] = {linf_set(network, 0.05, layers, biases),
                              relative_set(network, 0.1, layers, biases), l2_set(network, 0.3, layers)};
    const Evaluator evaluator(network, data);
    Evaluator::Scratch scratch(evaluator);
    for (const ThreatSet& set : sets) {
      const Perturbation perturbation{random_slack(maker, network, set, images)};
      TrialSamples fast;
      TrialSamples full;
      REQUIRE(evaluator.evaluate(perturbation, scratch, fast) ==
              evaluator.evaluate_full(perturbation, scratch, full));
      REQUIRE(fast.drop == full.drop);
      REQUIRE(fast.pair_drop == full.pair_drop);
      REQUIRE(fast.pair_class == full.pair_class);
      REQUIRE(fast.affected == full.affected);
    }
  }
}
