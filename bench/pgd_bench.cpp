// weight-pgd on a 784-128-64-32-10 network and 10,000 images, half of whose pixels are 0 as in Fashion-MNIST.
// Goals, one core: universal on the full batch at least 1.5 x torch (bench/peer_pgd.py); per sample, 200
// steps on 100 images in seconds. `fma` is the machine's float32 peak, measured: one core, vectors of 8.
#include <algorithm>
#include <array>
#include <cmath>

#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <temblor/attacks/pgd.hpp>

namespace {

using namespace temblor;

struct Problem {
  Network network;
  Dataset data;
};

Problem make_problem(Index images) {
  Stream stream(1, {});
  Network network = multilayer_perceptron("784-128-64-32-10", "relu", false, {}, {{784}});
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
  data.images.resize(images, 784);
  for (auto& x : data.images.reshaped<Eigen::RowMajor>()) {
    x = static_cast<float>(std::max(0.0, 2.0 * stream.uniform() - 1.0));
  }
  for (Index n = 0; n < images; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(n % 10));
    data.index.push_back(n);
  }
  return Problem{std::move(network), std::move(data)};
}

void universal(benchmark::State& state) {
  const auto [network, data] = make_problem(10000);
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(state.range(1)));
  const ThreatSet set = linf_set(network, 1e-3, parse_layers("all", network), false);
  pgd::Options options;
  options.batch = state.range(0);
  for (auto _ : state) benchmark::DoNotOptimize(pgd::universal(network, data, set, options, Stream(1, {})));
}

void per_sample(benchmark::State& state) {
  const auto [network, data] = make_problem(state.range(0));
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
  const ThreatSet set = linf_set(network, 1e-3, parse_layers("all", network), false);
  pgd::Options options;
  options.loss = pgd::Loss::margin;
  options.steps = 200;
  options.polish = state.range(1);
  if (state.range(2) != 0) options.target = pgd::Target::all;
  for (auto _ : state) benchmark::DoNotOptimize(pgd::per_sample(network, data, set, options, Stream(1, {})));
}

void fma(benchmark::State& state) {
  using Lanes __attribute__((vector_size(32))) = float;
  constexpr int rounds = 1 << 20;
  std::array<Lanes, 12> sums{};
  float half = 0.5F;
  for (auto _ : state) {
    benchmark::DoNotOptimize(half);
    const Lanes factor = half - Lanes{};
    for (int i = 0; i < rounds; ++i) {
      for (auto& sum : sums) sum = sum * factor + factor;
    }
    benchmark::DoNotOptimize(sums);
  }
  state.counters["GFLOPS"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * rounds * 12 * 8 * 2 * 1e-9, benchmark::Counter::kIsRate);
}

}  // namespace

BENCHMARK(universal)
    ->ArgNames({"batch", "threads"})
    ->Args({0, 1})
    ->Args({512, 1})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(universal)
    ->Name("universal_two_threads")
    ->ArgNames({"batch", "threads"})
    ->Args({0, 2})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(per_sample)
    ->ArgNames({"images", "polish", "all"})
    ->Args({100, 0, 0})
    ->Args({100, 2, 1})
    ->Args({10000, 0, 0})
    ->Args({10000, 2, 0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(fma)->Unit(benchmark::kMillisecond);
