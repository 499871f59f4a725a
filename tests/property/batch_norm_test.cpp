#include <cmath>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/batch_norm.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;

namespace {

Dataset pictures(Index images, const Shape& shape, Index classes) {
  Dataset data;
  data.name = "noise";
  data.shape = shape;
  data.classes = classes;
  data.images.resize(images, shape.size());
  Stream stream(4, {});
  for (Index i = 0; i < data.images.size(); ++i)
    data.images.data()[i] = static_cast<float>(2 + 3 * stream.normal());
  for (Index i = 0; i < images; ++i) data.labels.push_back(static_cast<std::int32_t>(i % classes));
  return data;
}

/// A convolution, a sum past another one, and a dense layer; random parameters.
Network small(const Shape& shape, bool biases = true) {
  Network network(shape, {});
  const std::shared_ptr<const Layer> conv =
      make_layer("conv2d", {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}});
  const auto weights = [&](Index outputs, Index inputs) {
    return Weights{Matrix::Zero(outputs, inputs), biases ? Vector(Vector::Zero(outputs)) : Vector()};
  };
  network.add(conv, weights(3, 9 * shape.dims[0]));
  network.add(make_layer("tanh"));
  const int branch = network.add(conv, weights(3, 27));
  network.add(make_layer("add"), {}, {branch, branch - 1});
  network.add(make_layer("global-average-pool"));
  network.add(make_layer("dense"), weights(4, 3));
  return initialise(network, 5, true);
}

/// Parameters of the training graph, moved away from their simple starts.
std::vector<Weights> drawn(const Network& network) {
  std::vector<Weights> all;
  Stream stream(6, {});
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights weights = network.weights(layer);
    for (Index i = 0; i < weights.weight.size(); ++i)
      weights.weight.data()[i] += static_cast<float>(0.2 * stream.normal());
    for (Index i = 0; i < weights.bias.size(); ++i)
      weights.bias[i] += static_cast<float>(0.2 * stream.normal());
    all.push_back(std::move(weights));
  }
  return all;
}

WeightView view_of(const std::vector<Weights>& weights) {
  WeightView view;
  for (const Weights& layer : weights) view.push_back(&layer);
  return view;
}

}  // namespace

TEST_CASE("batch normalisation: gradients agree with finite differences") {
  const Shape shape{{2, 4, 3}};
  const Dataset data = pictures(5, shape, 4);
  const Normalised normalised(small(shape));
  const Network& network = normalised.training();
  REQUIRE(network.layers() == 5);
  std::vector<Weights> weights = drawn(network);
  const WeightView view = view_of(weights);
  Activations run;
  Matrix by_logits;
  const auto loss = [&] {
    forward(network, view, data.images, run);
    return cross_entropy(run.outputs.back(), data.labels, 1, by_logits).loss;
  };
  loss();
  std::vector<Weights> gradients = weights;
  std::vector<Weights*> wanted;
  for (Weights& layer : gradients) {
    layer.weight.setZero();
    layer.bias.setZero();
    wanted.push_back(&layer);
  }
  backward(network, view, data.images, run, by_logits, wanted);
  for (std::size_t m = 0; m < weights.size(); ++m) {
    INFO("layer " << m);
    CHECK(gradients[m].weight.cwiseAbs().maxCoeff() > 1e-3);
    CHECK(testing::gradient_error(loss, weights[m].weight.data(), gradients[m].weight.data(),
                                  weights[m].weight.size(), 0x1p-8F) < 2e-3);
    CHECK(testing::gradient_error(loss, weights[m].bias.data(), gradients[m].bias.data(),
                                  weights[m].bias.size(), 0x1p-8F) < 2e-3);
  }
}

TEST_CASE("batch normalisation: the folded network computes what one block of all images computes") {
  for (const std::string arch : {"small", "resnet8"}) {
    INFO(arch);
    const Shape shape{{2, 6, 5}};
    const Dataset data = pictures(60, shape, 4);
    const Normalised normalised(arch == "small" ? small(shape) : make_architecture(arch, {shape, 4}));
    std::vector<Weights> weights = drawn(normalised.training());
    Activations run;
    forward(normalised.training(), view_of(weights), data.images, run);
    const Network folded = normalised.folded(weights, data);
    const Matrix answers = logits(folded, folded.view(), data.images);
    CHECK((answers - run.outputs.back()).norm() < 1e-4F * answers.norm());
    CHECK(answers.norm() > 0.1F);
    for (const auto& node : folded.nodes()) CHECK(node.layer->kind() != "batch-norm");
  }
}

TEST_CASE("batch normalisation: what does not go with it is refused") {
  const Shape shape{{2, 6, 5}};
  const Dataset data = pictures(10, shape, 4);
  TrainingPlan plan;
  plan.batch_norm = true;
  plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
  CHECK_NOTHROW(Trainer(small(shape), data, plan));
  CHECK_THROWS_WITH(Trainer(small(shape, false), data, plan), Catch::Contains("no bias"));
  const Network dense = multilayer_perceptron("60-8-4", "relu", true, {}, shape);
  CHECK_THROWS_WITH(Trainer(dense, data, plan), Catch::Contains("no convolution"));
  plan.clip = 1;
  CHECK_THROWS_WITH(Trainer(small(shape), data, plan), Catch::Contains("--batch-norm off"));
  plan.clip = 0;
  plan.loss = "randbet";
  plan.loss_params = Params("randbet", find_loss("randbet").params, {});
  CHECK_THROWS_WITH(Trainer(small(shape), data, plan), Catch::Contains("--batch-norm off"));
}

TEST_CASE("initial weights: fan-in of kernels, activations behind pooling, branches that start at 0") {
  const Shape shape{{3, 32, 32}};
  const auto deviation = [](const Network& network, int layer) {
    const Matrix& weight = network.weights(layer).weight;
    return std::sqrt(weight.squaredNorm() / static_cast<float>(weight.size()));
  };
  const Network relu = initialise(make_architecture("lenet5", {shape, 10}), 1);
  CHECK(deviation(relu, 1) == Approx(std::sqrt(2.0 / 150)).epsilon(0.05));
  const Network tanh = initialise(make_architecture("lenet5", {shape, 10, "tanh"}), 1);
  CHECK(deviation(tanh, 1) == Approx(std::sqrt(2.0 / (150 + 16 * 25))).epsilon(0.05));
  const Network plain = initialise(make_architecture("resnet8", {shape, 10}), 1);
  const Network normalised = initialise(make_architecture("resnet8", {shape, 10}), 1, true);
  for (int layer = 0; layer < plain.layers(); ++layer) {
    INFO(plain.layer_name(layer));
    const bool ends = plain.layer_name(layer).ends_with("conv2");
    CHECK((deviation(plain, layer) == 0.0F) == ends);
    CHECK(deviation(normalised, layer) ==
          Approx(std::sqrt(2.0 / static_cast<double>(plain.weights(layer).weight.cols()))).epsilon(0.1));
  }
}

TEST_CASE("architectures have the parameters that they are known for") {
  const auto parameters = [](const std::string& name, const Shape& shape) {
    const Network network = make_architecture(name, {shape, 10});
    return network.weight_count() + network.bias_count();
  };
  CHECK(parameters("lenet5", {{1, 28, 28}}) == 61706);
  CHECK(parameters("lenet5", {{3, 32, 32}}) == 62006);
  CHECK(parameters("resnet8", {{1, 28, 28}}) == 74762);
  CHECK(parameters("resnet8", {{3, 32, 32}}) == 75050);
  CHECK(parameters("resnet20", {{3, 32, 32}}) == 269034);
  CHECK(parameters("784-128-10", {{1, 28, 28}}) == 784 * 128 + 128 + 1290);
  for (const ArchitectureEntry& entry : architecture_table())
    CHECK(make_architecture(entry.name, {{{1, 13, 17}}, 3}).classes() == 3);
  CHECK_THROWS_WITH(make_architecture("lenet5", {{{784}}, 10}), Catch::Contains("784-128-10"));
  CHECK_THROWS_WITH(make_architecture("lenet5", {{{1, 11, 28}}, 10}), Catch::Contains("12 rows"));
  CHECK_THROWS_WITH(make_architecture("lenet", {{{1, 28, 28}}, 10}), Catch::Contains("lenet5"));
}
