// One epoch of 784-128-64-32-10 on 60,000 images, batch 128, Adam. bench/peer_train.py runs it beside torch.

#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <temblor/train/trainer.hpp>

using namespace temblor;

namespace {

/// Noise with the proportions of Fashion-MNIST: half of the pixels black.
const Dataset& images() {
  static const Dataset data = [] {
    Dataset set;
    set.shape = {{784}};
    set.classes = 10;
    set.images.resize(60000, 784);
    Stream stream(1, {});
    for (Index i = 0; i < set.images.size(); ++i) {
      set.images.data()[i] = static_cast<float>(stream.word() >> 24U) / 127.0F - 1.0F;
    }
    set.images = set.images.cwiseMax(0.0F);
    for (Index i = 0; i < 60000; ++i) set.labels.push_back(static_cast<std::int32_t>(stream.below(10)));
    return set;
  }();
  return data;
}

void epoch(benchmark::State& state) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(state.range(0)));
  TrainingPlan plan;
  plan.epochs = 1;
  plan.optimizer_params = Params(plan.optimizer, find_optimizer(plan.optimizer).params, {});
  const Network start = initialise(multilayer_perceptron("784-128-64-32-10", "relu", true, {}, {{784}}), 1);
  (void)images();
  for (auto _ : state) {
    Trainer trainer(start, images(), plan);
    while (!trainer.finished()) trainer.step();
    benchmark::DoNotOptimize(trainer.epochs().back().sum.loss);
  }
  state.counters["images_per_second"] =
      benchmark::Counter(60000, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(epoch)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
