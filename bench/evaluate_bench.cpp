// Trials on 10,000 images of a 784-128-64-32-10 network: full inference, single-bit faults, several faults,
// dense and per-image perturbations. Fashion-MNIST and a network trained on it for two epochs where the set
// is installed, otherwise random images with half their pixels 0. The peer is bench/peer_eval.py (torch),
// which runs this program.
#include <algorithm>
#include <bit>
#include <cmath>
#include <iostream>
#include <memory>

#include <benchmark/benchmark.h>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/trainer.hpp>

namespace {

using namespace temblor;

struct Problem {
  Dataset data;
  Network network;
  Evaluator evaluator{network, data};
};

Dataset random_images() {
  Stream stream(1, {});
  Dataset data;
  data.name = "random";
  data.shape = {{784}};
  data.classes = 10;
  data.images.resize(10000, 784);
  for (auto& x : data.images.reshaped<Eigen::RowMajor>())
    x = static_cast<float>(std::max(0.0, 2.0 * stream.uniform() - 1.0));
  for (std::int32_t n = 0; n < 10000; ++n) {
    data.labels.push_back(n % 10);
    data.index.push_back(n);
  }
  return data;
}

std::unique_ptr<const Problem> make_problem() {
  const Network start = initialise(multilayer_perceptron("784-128-64-32-10", "relu", true, {}, {{784}}), 1);
  try {
    const Dataset training = load_dataset({"fashion-mnist", Split::train}, {});
    TrainingPlan plan;
    plan.epochs = 2;
    plan.loss_params = Params("loss", find_loss(plan.loss).params, {});
    plan.optimizer_params = Params("optimiser", find_optimizer(plan.optimizer).params, {});
    plan.schedule_params = Params("schedule", find_schedule(plan.schedule).params, {});
    Trainer trainer(start, training, plan);
    while (!trainer.finished()) trainer.step();

    std::unique_ptr<const Problem> made(
        new Problem{load_dataset({"fashion-mnist", Split::test}, {}), trainer.network()});
    std::cerr << "network: two epochs of Fashion-MNIST, " << made->evaluator.golden().correct
              << " of 10000 right\n";
    return made;
  } catch (const Error& error) {
    std::cerr << "random images: " << error.what() << '\n';
    return std::unique_ptr<const Problem>(new Problem{random_images(), start});
  }
}

const Problem& problem() {
  static const std::unique_ptr<const Problem> made = make_problem();
  return *made;
}

/// A random bit of a random weight of all layers (layer < 0) or one.
SparseDelta random_flip(const Network& network, int layer, std::uint64_t flips, Stream& stream) {
  std::vector<std::uint64_t> start{0};
  for (int m = 0; m < network.layers(); ++m)
    start.push_back(start.back() + (layer < 0 || m == layer
                                        ? static_cast<std::uint64_t>(network.weights(m).weight.size())
                                        : 0));
  SparseDelta delta;
  for (const std::uint64_t place : choose_distinct(stream, start.back(), flips)) {
    const auto m =
        static_cast<std::uint32_t>(std::upper_bound(start.begin(), start.end(), place) - start.begin() - 1);
    const auto index = static_cast<std::uint32_t>(place - start[m]);
    const float before = network.weights(static_cast<int>(m)).weight.data()[index];
    delta.changes.push_back(
        {m, index, std::bit_cast<float>(std::bit_cast<std::uint32_t>(before) ^ (1U << stream.below(32)))});
  }
  return delta;
}

template <class Run>
void trials(benchmark::State& state, const std::vector<Perturbation>& drawn, const Run& run) {
  const Evaluator& evaluator = problem().evaluator;
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  run(evaluator, drawn.front(), scratch, samples);
  std::size_t next = static_cast<std::size_t>(state.thread_index()) * drawn.size() / 2;
  double affected = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(run(evaluator, drawn[next++ % drawn.size()], scratch, samples));
    affected += static_cast<double>(samples.affected.size());
  }
  state.counters["trials/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  state.counters["affected"] =
      benchmark::Counter(affected / static_cast<double>(state.iterations()), benchmark::Counter::kAvgThreads);
}

const auto shortcut = [](const Evaluator& evaluator, const Perturbation& perturbation,
                         Evaluator::Scratch& scratch, TrialSamples& samples) {
  return evaluator.evaluate(perturbation, scratch, samples);
};
const auto in_full = [](const Evaluator& evaluator, const Perturbation& perturbation,
                        Evaluator::Scratch& scratch, TrialSamples& samples) {
  return evaluator.evaluate_full(perturbation, scratch, samples);
};

std::vector<Perturbation> draw(int layer, std::uint64_t flips, std::size_t count) {
  Stream stream(7, {0, static_cast<std::uint32_t>(layer + 1), static_cast<std::uint32_t>(flips)});
  std::vector<Perturbation> drawn(count);
  for (Perturbation& perturbation : drawn)
    perturbation.delta = random_flip(problem().network, layer, flips, stream);
  return drawn;
}

void full(benchmark::State& state) {
  trials(state, draw(-1, 1, 16), in_full);
}

/// Arguments: layer (-1: any), flips.
void flips(benchmark::State& state) {
  trials(state, draw(static_cast<int>(state.range(0)), static_cast<std::uint64_t>(state.range(1)), 4096),
         shortcut);
}

void dense_from(benchmark::State& state) {
  DenseDelta delta;
  delta.layers.resize(4);
  const auto layer = static_cast<std::size_t>(state.range(0));
  delta.layers[layer] = problem().network.weights(static_cast<int>(layer));
  delta.layers[layer]->weight *= 1.001F;
  trials(state, {{delta}}, shortcut);
}

void per_image(benchmark::State& state) {
  const auto& [data, network, evaluator] = problem();
  SampleDelta delta;
  delta.set = linf_set(network, 1e-3, parse_layers("all", network), false);
  for (int m = 0; m < network.layers(); ++m)
    delta.slack.push_back(Matrix::Random(data.size(), network.weights(m).weight.rows()));
  trials(state, {{delta}}, shortcut);
}

/// The machine's multiply-adds: 12 independent sums of 8 lanes in registers.
void peak(benchmark::State& state) {
  using Lanes __attribute__((vector_size(32))) = float;
  constexpr int rounds = 100000;
  Lanes sums[12] = {};
  Lanes factor = {};
  benchmark::DoNotOptimize(factor);
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      for (Lanes& sum : sums) sum = sum * factor + factor;
    }
    for (Lanes& sum : sums) benchmark::DoNotOptimize(sum);
  }
  state.counters["flop/s"] = benchmark::Counter(
      2.0 * 8 * 12 * rounds * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace

BENCHMARK(peak)->Unit(benchmark::kMicrosecond);
BENCHMARK(full)->Threads(1)->Threads(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(flips)
    ->Args({-1, 1})
    ->Args({0, 1})
    ->Args({1, 1})
    ->Args({2, 1})
    ->Args({3, 1})
    ->Args({-1, 2})
    ->Args({-1, 10})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK(flips)->Args({-1, 1})->Threads(2)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK(dense_from)->DenseRange(0, 3)->Unit(benchmark::kMillisecond);
BENCHMARK(per_image)->MeasureProcessCPUTime()->UseRealTime()->Unit(benchmark::kMillisecond);
