#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/network.hpp>

using namespace temblor;

namespace {

/// 3 inputs, 2 hidden units, 2 classes; hand-computable.
Network small() {
  Network network({{3}}, {});
  Weights first{Matrix(2, 3), Vector(2)};
  first.weight << 1, 2, -1, 0, 1, 1;
  first.bias << 0.5F, -1;
  Weights last{Matrix(2, 2), {}};
  last.weight << 1, -1, 2, 0.5F;
  network.add(make_layer("dense"), first);
  network.add(make_layer("relu"));
  network.add(make_layer("dense"), last);
  return network;
}

}  // namespace

TEST_CASE("forward of a small network by hand") {
  const Network network = small();
  Matrix image(1, 3);
  image << 1, 0, 2;  // p = (1 - 2 + 0.5, 2 - 1) = (-0.5, 1), z = (0, 1)
  Activations activations;
  forward(network, network.view(), image, activations);
  CHECK(activations.outputs[0](0, 0) == -0.5F);
  CHECK(activations.outputs[1](0, 0) == 0.0F);
  CHECK(activations.outputs[2](0, 0) == -1.0F);
  CHECK(activations.outputs[2](0, 1) == 0.5F);
  CHECK(network.summary() == "3-2-2, relu, biases");
  CHECK(network.weight_count() == 10);
  CHECK(network.bias_count() == 2);
}

TEST_CASE("logits equal forward bit for bit, with and without threads") {
  Network network = multilayer_perceptron("17-13-5", "relu", true, {}, {{17}});
  for (int layer = 0; layer < 2; ++layer) {
    Weights weights = network.weights(layer);
    for (Index i = 0; i < weights.weight.size(); ++i)
      weights.weight.data()[i] = std::sin(static_cast<float>(7 * i + 1));
    weights.bias.setConstant(0.1F);
    network = network.with(layer, weights);
  }
  Matrix images(700, 17);
  for (Index i = 0; i < images.size(); ++i) images.data()[i] = std::cos(static_cast<float>(i));
  const Matrix serial = logits(network, network.view(), images);
  CHECK(serial == logits(network, network.view(), images, true));
  Activations activations;
  forward(network, network.view(), images.middleRows(0, 256), activations);
  CHECK(serial.middleRows(0, 256) == activations.outputs.back());
}

TEST_CASE("relu keeps NaN, and 0 times Inf is NaN") {
  const Network network = small();
  Weights weights = network.weights(0);
  weights.weight(0, 1) = std::numeric_limits<float>::infinity();
  const Network broken = network.with(0, weights);
  Matrix image(1, 3);
  image << 1, 0, 2;
  CHECK(std::isnan(logits(broken, broken.view(), image)(0, 0)));
}

TEST_CASE("misfits are refused, naming the layer") {
  Network network({{3}}, {});
  CHECK_THROWS_WITH(network.add(make_layer("dense"), {Matrix::Zero(2, 4), {}}),
                    Catch::Contains("layer 0 ('dense0')"));
  CHECK_THROWS_AS(network.add(make_layer("dense"), {Matrix::Zero(2, 3), Vector::Zero(3)}), Error);
  CHECK_THROWS_AS(network.add(make_layer("dense")), Error);
  CHECK_THROWS_WITH(network.add(make_layer("dense"), {Matrix::Constant(2, 3, std::nanf("")), {}}),
                    Catch::Contains("nan"));
  network.add(make_layer("dense"), {Matrix::Zero(2, 3), {}});
  CHECK_THROWS_WITH(network.add(make_layer("relu"), {}, {5}), Catch::Contains("topological"));
  CHECK_THROWS_WITH(make_layer("dence"), Catch::Contains("did you mean 'dense'"));
  CHECK_THROWS_AS(multilayer_perceptron("784", "relu", true, {}, {{784}}), Error);
  CHECK_THROWS_AS(multilayer_perceptron("784-0-10", "relu", true, {}, {{784}}), Error);
  CHECK_THROWS_AS(multilayer_perceptron("783-10", "relu", true, {}, {{784}}), Error);
}

TEST_CASE("the id depends on weights, graph and scaling") {
  const Network network = small();
  CHECK(network.id() == small().id());
  Weights weights = network.weights(1);
  weights.weight(0, 0) += 1;
  CHECK(network.with(1, weights).id() != network.id());
}

TEST_CASE("backward agrees with finite differences on a small network") {
  const Network network = small();
  Matrix image(2, 3);
  image << 1, 0.3F, 2, -1, 2, 0.7F;
  Matrix direction(2, 2);
  direction << 1, -2, 0.5F, 3;
  Activations activations;
  forward(network, network.view(), image, activations);
  Weights grad{Matrix::Zero(2, 3), Vector::Zero(2)};
  Weights last{Matrix::Zero(2, 2), {}};
  std::vector<Weights*> grads = {&grad, &last};
  backward(network, network.view(), image, activations, direction, grads);
  const auto loss = [&](const Network& net) {
    return logits(net, net.view(), image).cwiseProduct(direction).cast<double>().sum();
  };
  const float step = 1e-2F;
  for (Index i = 0; i < 6; ++i) {
    Weights up = network.weights(0);
    Weights down = up;
    up.weight.data()[i] += step;
    down.weight.data()[i] -= step;
    const double slope =
        (loss(network.with(0, up)) - loss(network.with(0, down))) / (2.0 * static_cast<double>(step));
    CHECK(grad.weight.data()[i] == Approx(slope).margin(1e-3));
  }
}
