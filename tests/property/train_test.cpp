#include <cmath>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>

#include <temblor/base/error.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;

namespace {

/// `classes` Gaussian clouds around the corners of a cube, in [images x 6].
Dataset blobs(Index images, Index classes, std::uint64_t seed) {
  Dataset data;
  data.name = "blobs";
  data.shape = {{6}};
  data.classes = classes;
  data.images.resize(images, 6);
  Stream stream(seed, {});
  for (Index i = 0; i < images; ++i) {
    const Index label = i % classes;
    data.labels.push_back(static_cast<std::int32_t>(label));
    data.index.push_back(i);
    for (Index j = 0; j < 6; ++j) {
      const double centre = ((label >> (j % 3)) & 1) != 0 ? 1.0 : -1.0;
      data.images(i, j) = static_cast<float>(centre + 0.4 * stream.normal());
    }
  }
  return data;
}

TrainingPlan plan_of(const std::string& optimizer, double rate, std::int64_t epochs) {
  TrainingPlan plan;
  plan.epochs = epochs;
  plan.optimizer = optimizer;
  plan.optimizer_params = Params(optimizer, find_optimizer(optimizer).params, {});
  plan.rate = rate;
  return plan;
}

Network trained(const Network& start, const Dataset& data, const TrainingPlan& plan) {
  Trainer trainer(start, data, plan);
  while (!trainer.finished()) trainer.step();
  return trainer.network();
}

}  // namespace

TEST_CASE("cross-entropy by hand") {
  const Matrix logits = (Matrix(2, 3) << 0, 0, 0, 1000, 0, -1000).finished();
  Matrix gradient;
  const std::vector<std::int32_t> labels = {2, 1};
  const LossSum sum = cross_entropy(logits, labels, 3, gradient);
  CHECK(sum.loss == Approx(std::log(3.0) + 1000));
  CHECK(sum.correct == 0);
  CHECK(gradient(0, 0) == Approx(1));
  CHECK(gradient(0, 2) == Approx(-2));
  CHECK(gradient(1, 0) == 3.0F);
  CHECK(gradient(1, 1) == -3.0F);
  CHECK(gradient(1, 2) == 0.0F);
}

TEST_CASE("gradients of every loss on whole networks agree with finite differences") {
  const Dataset data = blobs(9, 4, 3);
  for (const auto& entry : loss_table()) {
    const auto loss = entry.make(Params(entry.name, entry.params, {}));
    for (const std::string activation : {"relu", "sigmoid", "tanh"}) {
      for (const bool biases : {true, false}) {
        INFO(entry.name << ", " << activation << (biases ? ", biases" : ""));
        const Network network =
            initialise(multilayer_perceptron("6-7-5-4", activation, biases, {}, {{6}}), 17);
        if (!loss->refuses(network).empty()) continue;
        std::vector<Weights> parameters;
        for (int m = 0; m < network.layers(); ++m) {
          parameters.push_back(network.weights(m));
          parameters.back().bias.setConstant(0.05F);
        }
        WeightView view;
        for (const auto& layer : parameters) view.push_back(&layer);
        const Block block{data.images, data.labels};
        Activations scratch;
        const auto value = [&] {
          std::vector<Weights> ignored = zeros_like(parameters);
          std::vector<Weights*> pointers;
          for (auto& layer : ignored) pointers.push_back(&layer);
          return loss->add_gradients(network, view, block, 1, scratch, pointers).loss / 9 +
                 loss->penalty(network, view, pointers);
        };
        std::vector<Weights> gradients = zeros_like(parameters);
        std::vector<Weights*> pointers;
        for (auto& layer : gradients) pointers.push_back(&layer);
        loss->add_gradients(network, view, block, 1.0 / 9, scratch, pointers);
        loss->penalty(network, view, pointers);
        for (std::size_t m = 0; m < parameters.size(); ++m) {
          // The step is small enough to stay on one side of every kink of ReLU for this seed.
          Weights& layer = parameters[m];
          CHECK(testing::gradient_error(value, layer.weight.data(), gradients[m].weight.data(),
                                        layer.weight.size(), 0x1p-9F) < 1e-3);
          CHECK(testing::gradient_error(value, layer.bias.data(), gradients[m].bias.data(), layer.bias.size(),
                                        0x1p-9F) < 1e-3);
        }
      }
    }
  }
}

TEST_CASE("initial weights have the spread of their rule, layer by layer apart") {
  const auto deviation = [](const Weights& layer) {
    const MatrixD w = layer.weight.cast<double>();
    return std::sqrt(w.squaredNorm() / static_cast<double>(w.size()));
  };
  const Network relu = initialise(multilayer_perceptron("300-200-100", "relu", true, {}, {{300}}), 5);
  CHECK(deviation(relu.weights(0)) == Approx(std::sqrt(2.0 / 300)).epsilon(0.03));
  CHECK(deviation(relu.weights(1)) == Approx(std::sqrt(2.0 / 200)).epsilon(0.04));
  const Network tanh = initialise(multilayer_perceptron("300-200-100", "tanh", true, {}, {{300}}), 5);
  CHECK(deviation(tanh.weights(0)) == Approx(std::sqrt(2.0 / 500)).epsilon(0.03));
  CHECK(relu.weights(0).bias.isZero());
  const Network narrow = initialise(multilayer_perceptron("300-200-10", "relu", true, {}, {{300}}), 5);
  CHECK(narrow.weights(0).weight == relu.weights(0).weight);
  CHECK(initialise(relu, 6).weights(0).weight != relu.weights(0).weight);
}

TEST_CASE("the trainer separates blobs it has not seen") {
  const Dataset data = blobs(1500, 8, 1);
  const Dataset unseen = blobs(800, 8, 2);
  for (const auto& entry : optimizer_table()) {
    for (const std::string activation : {"relu", "sigmoid", "tanh"}) {
      INFO(entry.name << ", " << activation);
      const Network start = initialise(multilayer_perceptron("6-24-8", activation, true, {}, {{6}}), 1);
      const double rate = entry.name == "adam" ? 0.02 : 0.2;
      const Network network = trained(start, data, plan_of(entry.name, rate, 15));
      CHECK(count_correct(start, unseen) < 600);
      CHECK(count_correct(network, unseen) > 760);
    }
  }
}

TEST_CASE("loss falls, epochs are counted, the last batch may be small") {
  const Dataset data = blobs(1000, 8, 1);
  const Network start = initialise(multilayer_perceptron("6-16-8", "relu", true, {}, {{6}}), 1);
  TrainingPlan plan = plan_of("sgd", 0.1, 3);
  plan.batch = 150;
  Trainer trainer(start, data, plan);
  CHECK(trainer.batches() == 7);
  for (int batch = 0; batch < 21; ++batch) {
    CHECK_FALSE(trainer.finished());
    CHECK(trainer.batches_done() == batch % 7);
    trainer.step();
  }
  CHECK(trainer.finished());
  REQUIRE(trainer.epochs().size() == 3);
  CHECK(trainer.epochs()[0].epoch == 1);
  for (const auto& epoch : trainer.epochs()) CHECK(epoch.images == 1000);
  CHECK(trainer.epochs()[2].loss() < 0.5 * trainer.epochs()[0].loss());
  CHECK(trainer.epochs()[2].rate < trainer.epochs()[0].rate);
}

TEST_CASE("a batch larger than the slots' blocks gives the gradient of the whole set") {
  // 16 slots of 64 images hold 1024: with 1500 a slot takes two blocks.
  const Dataset data = blobs(1500, 8, 1);
  const Network start = initialise(multilayer_perceptron("6-16-8", "relu", true, {}, {{6}}), 1);
  TrainingPlan plan = plan_of("sgd", 0.25, 1);
  plan.batch = 5000;
  const Network once = trained(start, data, plan);
  std::vector<Weights> gradients = zeros_like(std::vector{start.weights(0), start.weights(1)});
  std::vector<Weights*> pointers = {&gradients[0], &gradients[1]};
  Activations scratch;
  const auto loss = find_loss("cross-entropy").make({});
  loss->add_gradients(start, start.view(), {data.images, data.labels}, 1.0 / 1500, scratch, pointers);
  for (int m = 0; m < 2; ++m) {
    const Matrix expected = start.weights(m).weight - 0.25F * gradients[static_cast<std::size_t>(m)].weight;
    CHECK((once.weights(m).weight - expected).cwiseAbs().maxCoeff() < 1e-6F);
  }
}

TEST_CASE("divergence is an error that says what to do") {
  const Dataset data = blobs(500, 8, 1);
  const Network start = initialise(multilayer_perceptron("6-16-8", "relu", true, {}, {{6}}), 1);
  CHECK_THROWS_WITH(trained(start, data, plan_of("sgd", 1e30, 3)),
                    Catch::Contains("at epoch") && Catch::Contains("lower --lr"));
}

TEST_CASE("bad plans and empty sets are refused") {
  const Dataset data = blobs(50, 8, 1);
  const Network start = multilayer_perceptron("6-16-8", "relu", true, {}, {{6}});
  TrainingPlan plan = plan_of("sgd", 0.1, 1);
  CHECK_THROWS_AS(Trainer(start, Dataset{}, plan), Error);
  plan.batch = 0;
  CHECK_THROWS_AS(Trainer(start, data, plan), Error);
  plan = plan_of("sgd", 0.1, 1);
  plan.schedule = "cosinus";
  CHECK_THROWS_WITH(Trainer(start, data, plan), Catch::Contains("cosine"));
  plan = plan_of("sgd", 0.1, 1);
  plan.loss = "entropy";
  CHECK_THROWS_WITH(Trainer(start, data, plan), Catch::Contains("cross-entropy"));
}
