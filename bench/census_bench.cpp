// The census of every single-bit fault of a 784-128-64-32-10 network over 10,000 images: Fashion-MNIST and a
// network trained on it for two epochs. The peer is bench/peer_census.py (torch), which runs this program.
#include <iostream>
#include <numeric>

#include <benchmark/benchmark.h>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>
#include <temblor/train/trainer.hpp>

namespace {

using namespace temblor;

Network trained() {
  const Dataset data = load_dataset({"fashion-mnist", Split::train}, {});
  TrainingPlan plan;
  plan.epochs = 2;
  plan.loss_params = Params("loss", find_loss(plan.loss).params, {});
  plan.optimizer_params = Params("optimiser", find_optimizer(plan.optimizer).params, {});
  plan.schedule_params = Params("schedule", find_schedule(plan.schedule).params, {});
  Trainer trainer(initialise(multilayer_perceptron("784-128-64-32-10", "relu", true, {}, {{784}}), 1), data,
                  plan);
  while (!trainer.finished()) trainer.step();
  return trainer.network();
}

void census(benchmark::State& state, const char* format) {
  static const Network network = trained();
  static const Dataset data = load_dataset({"fashion-mnist", Split::test}, {});
  const StoredNetwork stored = store(network, find_format(format));
  double faults = 0;
  for (auto _ : state) {
    const Evaluator evaluator(stored.network, data);
    CensusRequest request;
    request.layers = {0, 1, 2, 3};
    request.bits.resize(static_cast<std::size_t>(stored.format->bits));
    std::iota(request.bits.begin(), request.bits.end(), 0);
    const Census result = take_census(stored, data, evaluator, request);
    for (const auto& layer : result.layers) faults += static_cast<double>(layer.faults());
  }
  state.counters["faults"] = faults / static_cast<double>(state.iterations());
}

}  // namespace

BENCHMARK_CAPTURE(census, fp32, "fp32")
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kSecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(census, fp16, "fp16")
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kSecond)
    ->Iterations(1);
BENCHMARK_CAPTURE(census, int8, "int8")
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kSecond)
    ->Iterations(1);
