#include <catch2/catch.hpp>
#include <tbb/global_control.h>

#include <temblor/network/architecture.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;

TEST_CASE("training gives the same bytes with one, two and five threads, and again") {
  Dataset data;
  data.shape = {{40}};
  data.classes = 5;
  data.images.resize(1100, 40);
  Stream stream(2, {});
  for (Index i = 0; i < data.images.size(); ++i) data.images.data()[i] = static_cast<float>(stream.normal());
  for (Index i = 0; i < 1100; ++i) data.labels.push_back(static_cast<std::int32_t>(stream.below(5)));

  for (const auto& entry : optimizer_table()) {
    TrainingPlan plan;
    plan.epochs = 2;
    plan.batch = 300;
    plan.optimizer = entry.name;
    plan.optimizer_params = Params(entry.name, entry.params, {});
    plan.rate = entry.rate;
    std::string first;
    // 500 x 40 weights: more than one chunk.
    const Network start = initialise(multilayer_perceptron("40-500-5", "relu", true, {}, {{40}}), 3);
    for (const std::size_t threads : {1U, 2U, 5U, 2U}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      Trainer trainer(start, data, plan);
      while (!trainer.finished()) trainer.step();
      const std::string id = trainer.network().id();
      if (first.empty()) first = id;
      CHECK(id == first);
    }
    CHECK(first != start.id());
    plan.seed = 2;
    Trainer other(start, data, plan);
    while (!other.finished()) other.step();
    CHECK(other.network().id() != first);
  }
}

TEST_CASE(
    "convolutional networks, with batch normalisation too, are the same bytes with any number of threads") {
  Dataset data;
  data.shape = {{1, 12, 13}};
  data.classes = 3;
  data.images.resize(150, 156);
  Stream stream(2, {});
  for (Index i = 0; i < data.images.size(); ++i) data.images.data()[i] = static_cast<float>(stream.normal());
  for (Index i = 0; i < 150; ++i) data.labels.push_back(static_cast<std::int32_t>(stream.below(3)));
  for (const std::string arch : {"lenet5", "resnet8"}) {
    for (const std::string loss : {"cross-entropy", "sam", "awp"}) {
      TrainingPlan plan;
      plan.epochs = 1;
      plan.batch = 140;
      plan.loss = loss;
      plan.loss_params = Params(loss, find_loss(loss).params, {});
      plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
      plan.batch_norm = arch == "resnet8";
      INFO(arch << " " << loss);
      const Network start = initialise(make_architecture(arch, {data.shape, 3}), 3, plan.batch_norm);
      std::string first;
      for (const std::size_t threads : {1U, 3U, 2U}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        Trainer trainer(start, data, plan);
        while (!trainer.finished()) trainer.step();
        const std::string id = trainer.network().id();
        if (first.empty()) first = id;
        CHECK(id == first);
      }
      CHECK(first != start.id());
    }
  }
}

TEST_CASE("every loss gives the same bytes with any number of threads") {
  const Network start = initialise(multilayer_perceptron("20-30-12-5", "relu", true, {}, {{20}}), 3);
  Dataset data;
  data.shape = {{20}};
  data.classes = 5;
  data.images.resize(500, 20);
  Stream stream(2, {});
  for (Index i = 0; i < data.images.size(); ++i) data.images.data()[i] = static_cast<float>(stream.normal());
  for (Index i = 0; i < 500; ++i) data.labels.push_back(static_cast<std::int32_t>(stream.below(5)));
  for (const auto& entry : loss_table()) {
    // Every choice of the loss's words, the other parameters at their defaults.
    std::vector<std::map<std::string, std::string>> settings = {{}};
    for (const auto& spec : entry.params) {
      for (const auto& choice : spec.choices) settings.push_back({{spec.name, choice}});
    }
    for (const auto& given : settings) {
      TrainingPlan plan;
      plan.epochs = 2;
      plan.batch = 200;
      plan.loss = entry.name;
      plan.loss_params = Params(entry.name, entry.params, given);
      plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
      INFO(entry.name << " " << plan.loss_params.canonical());
      std::string first;
      for (const std::size_t threads : {1U, 3U, 2U}) {
        const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
        Trainer trainer(start, data, plan);
        while (!trainer.finished()) trainer.step();
        const std::string id = trainer.network().id();
        if (first.empty()) first = id;
        CHECK(id == first);
      }
    }
  }
}
