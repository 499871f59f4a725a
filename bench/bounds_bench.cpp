// Bounds of 10,000 images of a 784-128-64-32-10 network, all class pairs, one severity.
// Goals on two cores: interval 0.2 s, norm-product 0.1 s. The peer is bench/peer_bounds.py (numpy), same
// problem.
#include <algorithm>
#include <cmath>
#include <string>

#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/memory.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/random/stream.hpp>

namespace {

using namespace temblor;

struct Problem {
  Network network;
  Dataset data;
};

const Problem& problem() {
  static const Problem made = [] {
    Stream stream(1, {});
    Network network = multilayer_perceptron("784-128-64-32-10", "relu", true, {}, {{784}});
    for (int m = 0; m < network.layers(); ++m) {
      Weights weights = network.weights(m);
      const double scale = std::sqrt(2.0 / static_cast<double>(weights.weight.cols()));
      for (auto& w : weights.weight.reshaped<Eigen::RowMajor>())
        w = static_cast<float>(scale * stream.normal());
      network = network.with(m, std::move(weights));
    }
    Dataset data;
    data.name = "bench";
    data.shape = {{784}};
    data.classes = 10;
    data.images.resize(10000, 784);
    // Half of the pixels are 0, as in Fashion-MNIST.
    for (auto& x : data.images.reshaped<Eigen::RowMajor>()) {
      x = static_cast<float>(std::max(0.0, 2.0 * stream.uniform() - 1.0));
    }
    for (int n = 0; n < 10000; ++n) {
      data.labels.push_back(n % 10);
      data.index.push_back(n);
    }
    return Problem{std::move(network), std::move(data)};
  }();
  return made;
}

void bound(benchmark::State& state, const std::string& name, bool arithmetic) {
  const auto threads = static_cast<std::size_t>(state.range(0));
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  const auto& [network, data] = problem();
  const auto set = linf_set(network, 1e-3, parse_layers("all", network), false);
  const auto& entry = find_bound(name);
  for (auto _ : state) benchmark::DoNotOptimize(entry.compute({network, data, set, arithmetic}).value.data());
}

}  // namespace

BENCHMARK_CAPTURE(bound, norm_product, "norm-product", false)
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bound, norm_vector, "norm-vector", false)
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bound, interval, "interval", false)
    ->Arg(1)
    ->Arg(2)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bound, interval_arithmetic, "interval", true)
    ->Arg(2)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

int main(int argc, char** argv) {
  temblor::fix_arithmetic();
  temblor::keep_memory();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
