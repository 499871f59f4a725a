#include "bit_search.hpp"

#include <cmath>
#include <numeric>

#include <support/networks.hpp>

#include <temblor/train/trainer.hpp>

namespace temblor::testing {
namespace {

/// Four classes of images around prototypes, and a network trained on them.
struct Trained {
  Dataset data;
  Network network;

  Trained() : network(multilayer_perceptron("8-12-4", "relu", true, {}, {{8}})) {
    data = random_dataset(network, 160, 1);
    Stream draws(3, {});
    for (Index n = 0; n < data.size(); ++n) {
      const auto label = n % 4;
      data.labels[static_cast<std::size_t>(n)] = static_cast<std::int32_t>(label);
      for (Index k = 0; k < 8; ++k)
        data.images(n, k) = static_cast<float>(0.3 * draws.uniform() + (k / 2 == label ? 0.6 : 0.0));
    }
    TrainingPlan plan;
    plan.epochs = 60;
    plan.batch = 32;
    plan.rate = 0.02;
    plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
    Trainer trainer(initialise(network, 2), data, plan);
    while (!trainer.finished()) trainer.step();
    network = trainer.network();
  }
};

const Trained& trained() {
  static const Trained instance;
  return instance;
}

}  // namespace

SearchBench::SearchBench(const Network& made, Index images, const std::string& format)
    : network(made), data(random_dataset(made, images, 3)), stored(store(made, find_format(format))) {}

std::unique_ptr<FlipSearch> SearchBench::attack(double flips, Given given, LayerSet layers) const {
  if (!given.contains("objective") || given.at("objective") == "untargeted") given.emplace("cap", "0");
  if (layers.empty()) {
    layers.resize(static_cast<std::size_t>(network.layers()));
    std::iota(layers.begin(), layers.end(), 0);
  }
  const auto& entry = find_attack("progressive-bit-search");
  auto made = make_attack(entry, {stored.network, data, *stored.format, layers, flips,
                                  Params("attack 'progressive-bit-search'", entry.params, given), &stored});
  return std::unique_ptr<FlipSearch>(&dynamic_cast<FlipSearch&>(*made.release()));
}

FlipLog SearchBench::log(double flips, const Given& given, const LayerSet& layers) const {
  return attack(flips, given, layers)->search(Stream(5, {}));
}

Network SearchBench::broken(const Perturbation& perturbation) const {
  Network result = stored.network;
  const auto weights = perturbed_weights(result, std::get<SparseDelta>(perturbation.delta));
  for (std::size_t m = 0; m < weights.size(); ++m) {
    if (weights[m]) result = result.with(static_cast<int>(m), *weights[m]);
  }
  return result;
}

SearchBench trained_bench(const std::string& format) {
  SearchBench bench(trained().network, 1, format);
  bench.data = trained().data;
  return bench;
}

MeanLoss loss_of(const Network& network, const Dataset& data) {
  const Matrix values = logits(network, network.view(), data.images);
  MeanLoss loss;
  for (Index n = 0; n < values.rows(); ++n) {
    const auto label = data.labels[static_cast<std::size_t>(n)];
    const double most = static_cast<double>(values.row(n).maxCoeff());
    double sum = 0;
    Index top = 0;
    for (Index j = 0; j < values.cols(); ++j) {
      sum += std::exp(static_cast<double>(values(n, j)) - most);
      if (values(n, j) > values(n, top)) top = j;
    }
    loss.mean += std::log(sum) + most - static_cast<double>(values(n, label));
    loss.correct += top == label;
  }
  loss.mean /= static_cast<double>(values.rows());
  return loss;
}

std::int64_t predicted_as(const Network& network, const Dataset& data, std::int32_t label, std::int32_t as) {
  const Matrix values = logits(network, network.view(), data.images);
  std::int64_t count = 0;
  for (Index n = 0; n < values.rows(); ++n) {
    Index top = 0;
    values.row(n).maxCoeff(&top);
    count += data.labels[static_cast<std::size_t>(n)] == label && top == as;
  }
  return count;
}

}  // namespace temblor::testing
