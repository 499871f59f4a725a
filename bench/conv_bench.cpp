// LeNet-5 (1 x 28 x 28) and ResNets (3 x 32 x 32), batch 128, one thread: inference, and steps of training
// with Adam. bench/peer_conv.py runs it beside torch.

#include <benchmark/benchmark.h>
#include <tbb/global_control.h>

#include <temblor/network/architecture.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;

namespace {

constexpr Index batch = 128;

/// Noise, half of the values 0.
Dataset images(const Shape& shape) {
  Dataset set;
  set.shape = shape;
  set.classes = 10;
  set.images.resize(batch, shape.size());
  Stream stream(1, {});
  for (Index i = 0; i < set.images.size(); ++i)
    set.images.data()[i] = static_cast<float>(stream.word() >> 24U) / 127.0F - 1.0F;
  set.images = set.images.cwiseMax(0.0F);
  for (Index i = 0; i < batch; ++i) set.labels.push_back(static_cast<std::int32_t>(stream.below(10)));
  return set;
}

Dataset images_of(const std::string& arch) {
  return images(arch == "lenet5" ? Shape{{1, 28, 28}} : Shape{{3, 32, 32}});
}

Network network_of(const std::string& arch, const Dataset& data) {
  return initialise(make_architecture(arch, {data.shape, 10}), 1);
}

void forward_pass(benchmark::State& state, const std::string& arch) {
  const Dataset data = images_of(arch);
  const Network network = network_of(arch, data);
  for (auto _ : state) benchmark::DoNotOptimize(logits(network, network.view(), data.images).sum());
}

void training_step(benchmark::State& state, const std::string& arch) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, 1);
  const Dataset data = images_of(arch);
  TrainingPlan plan;
  plan.epochs = 1'000'000;
  plan.batch = batch;
  plan.optimizer_params = Params(plan.optimizer, find_optimizer(plan.optimizer).params, {});
  plan.schedule = "constant";
  plan.batch_norm = find_architecture(arch).batch_norm;
  Trainer trainer(network_of(arch, data), data, plan);
  for (auto _ : state) trainer.step();
}

BENCHMARK_CAPTURE(forward_pass, lenet5, "lenet5")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(forward_pass, resnet8, "resnet8")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(forward_pass, resnet20, "resnet20")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, lenet5, "lenet5")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, resnet8, "resnet8")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(training_step, resnet20, "resnet20")->Unit(benchmark::kMillisecond);

}  // namespace
