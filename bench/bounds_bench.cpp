// Bounds of a 784-128-64-32-10 network, all class pairs, all layers, one severity. Goals an image on two
// cores: interval 0.01 ms, linear-fast 0.05 ms, linear 0.8 ms, linear-alpha 20 ms. The peer is
// bench/peer_bounds.py (numpy), which runs both sides and prints ratios.
//
// The network is random unless TEMBLOR_BENCH_NETWORK names a network file: then the images are the first ones
// of Fashion-MNIST's test split.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>

#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/memory.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/network/file.hpp>
#include <temblor/random/stream.hpp>

namespace {

using namespace temblor;

constexpr Index most_images = 10000;

struct Problem {
  Network network;
  Dataset data;
};

Problem random_problem() {
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
  data.images.resize(most_images, 784);
  // Half of the pixels are 0, as in Fashion-MNIST.
  for (auto& x : data.images.reshaped<Eigen::RowMajor>()) {
    x = static_cast<float>(std::max(0.0, 2.0 * stream.uniform() - 1.0));
  }
  for (int n = 0; n < most_images; ++n) {
    data.labels.push_back(n % 10);
    data.index.push_back(n);
  }
  return {std::move(network), std::move(data)};
}

const Problem& problem() {
  static const Problem made = [] {
    const char* path = std::getenv("TEMBLOR_BENCH_NETWORK");
    if (path == nullptr) return random_problem();
    Network network = load_network(path);
    Dataset data = load_dataset({.set = "fashion-mnist"}, network.scaling());
    return Problem{std::move(network), std::move(data)};
  }();
  return made;
}

Dataset first_images(const Dataset& all, Index count) {
  Dataset some = all;
  some.images = all.images.topRows(count);
  some.labels.resize(static_cast<std::size_t>(count));
  some.index.resize(static_cast<std::size_t>(count));
  return some;
}

/// Counters: `mean` over the pairs of the first 20 images, to be compared with the peer; `images`.
void bound(benchmark::State& state, const std::string& name, bool arithmetic) {
  const auto threads = static_cast<std::size_t>(state.range(0));
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
  const auto& [network, all] = problem();
  const Dataset data = first_images(all, std::min<Index>(state.range(1), all.size()));
  const auto set = linf_set(network, 1e-3, parse_layers("all", network), false);
  const auto& entry = find_bound(name);
  const auto params = checked_params(entry, {});
  MatrixD value;
  for (auto _ : state) value = entry.compute({network, data, set, arithmetic, params}).value;
  const Index first = std::min<Index>(20, data.size());
  const auto pairs = static_cast<double>(first * (network.classes() - 1));
  state.counters["mean"] = value.topRows(first).sum() / pairs;
  state.counters["images"] = static_cast<double>(data.size());
}

void each(benchmark::internal::Benchmark* run, Index images) {
  run->ArgNames({"threads", "images"})->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
  for (const Index threads : {1, 2}) run->Args({threads, images});
}

}  // namespace

int main(int argc, char** argv) {
  temblor::fix_arithmetic();
  temblor::keep_memory();
  for (const auto& [name, images] : {std::pair<const char*, Index>{"norm-product", most_images},
                                     {"norm-vector", most_images},
                                     {"interval", most_images},
                                     {"linear-fast", most_images},
                                     {"linear", most_images},
                                     {"linear-alpha", 500}}) {
    const std::string bound_name = name;
    each(
        benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { bound(state, bound_name, false); }),
        images);
  }
  each(benchmark::RegisterBenchmark("interval+float32",
                                    [](benchmark::State& state) { bound(state, "interval", true); }),
       most_images);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
