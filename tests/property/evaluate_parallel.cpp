#include <vector>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("trials give the same figures on any number of threads") {
  Maker maker(41);
  const Network network = maker.network("20-16-12-6", "relu", true);
  const Dataset data = maker.data(700, 20, 6, 0.5);
  std::vector<Perturbation> trials;
  for (int trial = 0; trial < 60; ++trial) trials.push_back({maker.faults(network, 1 + trial % 4)});
  SampleDelta slack;
  slack.set = linf_set(network, 0.02, parse_layers("all", network), true);
  for (int m = 0; m < 3; ++m) slack.slack.push_back(maker.matrix(700, network.weights(m).weight.rows()));
  trials.push_back({slack});
  std::vector<std::vector<TrialCounts>> found;
  for (const std::size_t threads : {1U, 4U}) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    const Evaluator evaluator(network, data);
    std::vector<TrialCounts> counts(trials.size());
    tbb::parallel_for(std::size_t{0}, trials.size(), [&](std::size_t i) {
      Evaluator::Scratch scratch(evaluator);
      TrialSamples samples;
      counts[i] = evaluator.evaluate(trials[i], scratch, samples);
    });
    found.push_back(counts);
  }
  CHECK(found[0] == found[1]);
}
