// What the losses are for: networks that hold more under the perturbation they were trained against.

#include <catch2/catch.hpp>

#include <temblor/bounds/bound.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;

namespace {

/// Four overlapping clouds in ten dimensions.
Dataset clouds(Index images, std::uint64_t seed) {
  Dataset data;
  data.shape = {{10}};
  data.classes = 4;
  data.images.resize(images, 10);
  Stream stream(seed, {});
  for (Index i = 0; i < images; ++i) {
    const Index label = i % 4;
    data.labels.push_back(static_cast<std::int32_t>(label));
    data.index.push_back(i);
    for (Index j = 0; j < 10; ++j) {
      data.images(i, j) = static_cast<float>((j % 4 == label ? 1.2 : 0.0) + 0.6 * stream.normal());
    }
  }
  return data;
}

Network trained(const std::string& loss, const std::map<std::string, std::string>& given, double clip = 0) {
  TrainingPlan plan;
  plan.epochs = 12;
  plan.rate = 0.005;
  plan.loss = loss;
  plan.loss_params = Params("loss", find_loss(loss).params, given);
  plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
  plan.clip = clip;
  const Network start = initialise(multilayer_perceptron("10-24-16-4", "relu", false, {}, {{10}}), 1);
  const Dataset data = clouds(1200, 1);
  Trainer trainer(start, data, plan);
  while (!trainer.finished()) trainer.step();
  return trainer.network();
}

/// Images whose label a bound proves for all weights within eps.
std::int64_t certified(const Network& network, const Dataset& data, const std::string& bound, double eps) {
  const MatrixD value =
      find_bound(bound).compute({network, data, linf_set(network, eps, {0, 1, 2}, false)}).value;
  const Matrix answers = logits(network, network.view(), data.images);
  std::int64_t count = 0;
  for (Index n = 0; n < data.size(); ++n) {
    const auto y = data.labels[static_cast<std::size_t>(n)];
    bool proven = true;
    for (Index j = 0; j < 4; ++j) {
      const double margin = static_cast<double>(answers(n, y)) - static_cast<double>(answers(n, j));
      proven = proven && (j == y || margin > value(n, j));
    }
    count += proven ? 1 : 0;
  }
  return count;
}

double mean_bound(const Network& network, const Dataset& data, double eps) {
  return find_bound("norm-product")
      .compute({network, data, linf_set(network, eps, {0, 1, 2}, false)})
      .value.mean();
}

/// Mean accuracy over bit error patterns of int4 codes.
double accuracy_with_bit_errors(const Network& network, const Dataset& data, double p) {
  const StoredNetwork stored = store(network, find_format("int4"));
  std::int64_t correct = 0;
  constexpr std::uint32_t trials = 20;
  for (std::uint32_t t = 0; t < trials; ++t) {
    Network faulted = stored.network;
    for (int m = 0; m < network.layers(); ++m) {
      Weights weights = faulted.weights(m);
      const Encoded& codes = stored.codes[static_cast<std::size_t>(m)];
      Stream stream(9, {t, static_cast<std::uint32_t>(m), 0});
      for (std::size_t i = 0; i < codes.codes.size(); ++i) {
        std::uint32_t code = codes.codes[i];
        for (std::uint32_t bit = 0; bit < 4; ++bit) code ^= stream.uniform() < p ? 1U << bit : 0U;
        weights.weight.data()[i] = codes.decode(i, code);
      }
      faulted = faulted.with(m, std::move(weights));
    }
    correct += count_correct(faulted, data);
  }
  return static_cast<double>(correct) / static_cast<double>(trials * data.size());
}

}  // namespace

TEST_CASE("margin-robust and certified training prove more labels than ordinary training does") {
  const Dataset unseen = clouds(400, 2);
  const Network natural = trained("cross-entropy", {});
  for (const auto& [bound, eps] : std::vector<std::pair<std::string, std::string>>{
           {"norm-product", "0.01"}, {"interval", "0.04"}, {"linear", "0.06"}}) {
    const auto before = certified(natural, unseen, bound, std::stod(eps));
    const Network robust =
        trained("margin-robust", {{"bound", bound}, {"eps", eps}, {"lambda", "0.3"}, {"mu", "0"}});
    const auto after = certified(robust, unseen, bound, std::stod(eps));
    INFO(bound << ": " << before << " before, " << after << " after");
    CHECK(after > before + 40);
    CHECK(count_correct(robust, unseen) > count_correct(natural, unseen) - 25);
    if (bound == "norm-product") continue;
    const Network sure =
        trained("certified", {{"bound", bound}, {"eps", eps}, {"ramp-start", "1"}, {"ramp-length", "4"}});
    const auto proven = certified(sure, unseen, bound, std::stod(eps));
    INFO("certified: " << proven);
    CHECK(proven > before + 40);
  }
}

TEST_CASE("the bound alone and the norms alone lower the norm-product bound") {
  const Dataset unseen = clouds(400, 2);
  const double natural = mean_bound(trained("cross-entropy", {}), unseen, 0.01);
  const std::map<std::string, std::string> by_bound = {{"form", "bound"}, {"eps", "0.01"}, {"lambda", "0.1"}};
  CHECK(mean_bound(trained("margin-robust", by_bound), unseen, 0.01) < 0.7 * natural);
  CHECK(mean_bound(trained("margin-robust", {{"lambda", "0"}, {"mu", "0.03"}}), unseen, 0.01) <
        0.7 * natural);
}

TEST_CASE("training with bit errors keeps more accuracy under bit errors") {
  const Dataset unseen = clouds(400, 2);
  const double natural = accuracy_with_bit_errors(trained("cross-entropy", {}), unseen, 0.05);
  const double robust =
      accuracy_with_bit_errors(trained("randbet", {{"format", "int4"}, {"ber", "0.05"}}, 0.5), unseen, 0.05);
  INFO("ordinary " << natural << ", randbet " << robust);
  CHECK(robust > natural + 0.02);
}
