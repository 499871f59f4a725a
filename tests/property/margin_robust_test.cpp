// The margin-robust loss: its bounds against the sound ones, its gradients, and what it does to a network.

#include <cmath>

#include <catch2/catch.hpp>
#include <support/gradients.hpp>
#include <support/networks.hpp>
#include <support/tiny.hpp>

#include <temblor/base/error.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

const std::vector<std::string> bounds = {"norm-product", "norm-vector", "interval", "linear"};

std::unique_ptr<Loss> margin_robust(const std::map<std::string, std::string>& given) {
  const auto& entry = find_loss("margin-robust");
  return entry.make(Params("loss", entry.params, given));
}

/// Loss and gradient of one block, penalty included.
struct Evaluated {
  double loss;
  std::vector<Weights> gradients;
};

Evaluated evaluate(const Loss& loss, const Network& network, const Dataset& data) {
  std::vector<Weights> zeros;
  for (int m = 0; m < network.layers(); ++m) zeros.push_back(network.weights(m));
  Evaluated result{0, zeros_like(zeros)};
  std::vector<Weights*> pointers;
  for (auto& layer : result.gradients) pointers.push_back(&layer);
  Activations scratch;
  const WeightView view = network.view();
  const double share = 1.0 / static_cast<double>(data.size());
  result.loss =
      share * loss.add_gradients(network, view, {data.images, data.labels}, share, scratch, pointers).loss;
  result.loss += loss.penalty(network, view, pointers);
  return result;
}

/// T of one image at a time: what the loss adds to cross-entropy.
std::vector<double> terms(const std::map<std::string, std::string>& given, const Tiny& net) {
  const auto loss = margin_robust(given);
  std::vector<double> all;
  for (Index n = 0; n < net.data.size(); ++n) {
    Dataset one = net.data;
    one.images = net.data.images.row(n);
    one.labels = {net.data.labels[static_cast<std::size_t>(n)]};
    one.index = {0};
    all.push_back(evaluate(*loss, net.network, one).loss -
                  evaluate(*find_loss("cross-entropy").make({}), net.network, one).loss);
  }
  return all;
}

std::vector<MatrixD> margins_and(const std::string& bound, const Tiny& net, double eps) {
  LayerSet layers;
  for (int m = 0; m < net.network.layers(); ++m) layers.push_back(m);
  const MatrixD value =
      find_bound(bound).compute({net.network, net.data, linf_set(net.network, eps, layers, false)}).value;
  MatrixD margins(value.rows(), value.cols());
  const Matrix answers = logits(net.network, net.network.view(), net.data.images);
  for (Index n = 0; n < margins.rows(); ++n) {
    const auto y = net.data.labels[static_cast<std::size_t>(n)];
    for (Index j = 0; j < margins.cols(); ++j)
      margins(n, j) = static_cast<double>(answers(n, y)) - static_cast<double>(answers(n, j));
  }
  return {margins, value};
}

}  // namespace

TEST_CASE("robustness terms are those of the sound bounds, to rounding") {
  for (const std::string bound : {"norm-product", "norm-vector", "interval", "linear"}) {
    for (std::uint32_t t = 0; t < 24; ++t) {
      Stream stream(71, {t, 0, 0});
      TinyOptions options;
      options.sizes = {5, 9, 7, 6, 4};
      if (t % 8 == 7) options.sizes = {5, 4};
      options.biases = t % 2 == 0;
      options.signed_inputs = t % 3 == 0;
      if (bound != "linear" && t % 4 == 1) options.activation = "sigmoid";
      options.images = 6;
      const Tiny net = tiny(stream, options);
      const double eps = t % 2 == 0 ? 0.003 : 0.1;
      const auto known = margins_and(bound == "linear" ? "linear-fast" : bound, net, eps);
      for (const std::string form : {"hinge", "bound"}) {
        INFO(bound << ", " << form << ", network " << t);
        const auto own = terms(
            {{"bound", bound}, {"form", form}, {"eps", std::to_string(eps)}, {"lambda", "1"}, {"mu", "0"}},
            net);
        for (Index n = 0; n < net.data.size(); ++n) {
          double expected = form == "hinge" ? 0 : -HUGE_VAL;
          for (Index j = 0; j < known[0].cols(); ++j) {
            if (j == net.data.labels[static_cast<std::size_t>(n)]) continue;
            expected = std::max(expected, known[1](n, j) - (form == "hinge" ? known[0](n, j) : 0));
          }
          CHECK(own[static_cast<std::size_t>(n)] == Approx(expected).epsilon(2e-5).margin(2e-6));
        }
      }
    }
  }
}

TEST_CASE("gradients of margin-robust: every bound, both forms, with and without the penalty") {
  Index bends = 0;
  Index values = 0;
  for (const std::string bound : {"norm-product", "norm-vector", "interval", "linear"}) {
    for (const std::string form : {"hinge", "bound"}) {
      for (std::uint32_t t = 0; t < 6; ++t) {
        Stream stream(73, {t, 0, 0});
        TinyOptions options;
        options.sizes = t == 5       ? std::vector{5, 4}
                        : t % 2 == 0 ? std::vector{4, 6, 5, 3}
                                     : std::vector{4, 7, 3};
        options.biases = t % 3 != 0;
        options.activation = bound != "linear" && t == 4 ? "sigmoid" : "relu";
        options.images = 5;
        Tiny net = tiny(stream, options);
        const auto loss = margin_robust({{"bound", bound},
                                         {"form", form},
                                         {"eps", t < 3 ? "0.05" : "0.3"},
                                         {"lambda", "0.7"},
                                         {"mu", t % 2 == 0 ? "0.02" : "0"}});
        INFO(bound << ", " << form << ", network " << t);
        const Evaluated at = evaluate(*loss, net.network, net.data);
        for (int m = 0; m < net.network.layers(); ++m) {
          Weights moved = net.network.weights(m);
          Network changed = net.network;
          const auto value = [&] {
            changed = net.network.with(m, moved);
            return evaluate(*loss, changed, net.data).loss;
          };
          const auto& gradient = at.gradients[static_cast<std::size_t>(m)];
          CHECK(subgradient_error(value, moved.weight.data(), gradient.weight.data(), moved.weight.size(),
                                  0x1p-12F, bends) < 2e-3);
          CHECK(subgradient_error(value, moved.bias.data(), gradient.bias.data(), moved.bias.size(), 0x1p-12F,
                                  bends) < 2e-3);
          values += moved.weight.size() + moved.bias.size();
        }
      }
    }
  }
  INFO(bends << " bends of " << values);
  CHECK(bends < values / 20);
}

TEST_CASE("the penalty by hand") {
  Network network = multilayer_perceptron("2-2-2", "relu", false, {}, {{2}});
  network = network.with(0, {(Matrix(2, 2) << 3, -4, 0, 0).finished(), {}});
  network = network.with(1, {(Matrix(2, 2) << 1, 0, -5, 12).finished(), {}});
  const auto loss = margin_robust({{"lambda", "0"}, {"mu", "0.5"}});
  std::vector<Weights> gradients = zeros_like(std::vector{network.weights(0), network.weights(1)});
  std::vector<Weights*> pointers = {&gradients[0], &gradients[1]};
  // Rows of length 5, 0, 1, 13; largest row sums 7 and 17.
  CHECK(loss->penalty(network, network.view(), pointers) == Approx(0.5 * (5 + 0 + 1 + 13 + 7 + 17)));
  CHECK(gradients[0].weight(0, 0) == Approx(0.5 * (3.0 / 5 + 1)));
  CHECK(gradients[0].weight(0, 1) == Approx(0.5 * (-4.0 / 5 - 1)));
  CHECK(gradients[0].weight.row(1).isZero());
  CHECK(gradients[1].weight(0, 0) == Approx(0.5));
  CHECK(gradients[1].weight(1, 1) == Approx(0.5 * (12.0 / 13 + 1)));
}

TEST_CASE("without lambda and mu, and with the bound of radius 0, the loss is cross-entropy byte for byte") {
  const Network network = random_network("12-20-10-4", 3, true);
  const Dataset data = random_dataset(network, 200, 4);
  const auto trained = [&](const std::string& name, const std::map<std::string, std::string>& given) {
    TrainingPlan plan;
    plan.epochs = 2;
    plan.loss = name;
    plan.loss_params = Params("loss", find_loss(name).params, given);
    plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
    Trainer trainer(network, data, plan);
    while (!trainer.finished()) trainer.step();
    return trainer.network().id();
  };
  const std::string natural = trained("cross-entropy", {});
  for (const auto& bound : bounds) {
    CHECK(trained("margin-robust", {{"bound", bound}, {"lambda", "0"}}) == natural);
    CHECK(trained("margin-robust", {{"bound", bound}, {"eps", "0"}, {"form", "bound"}}) == natural);
    CHECK(trained("margin-robust", {{"bound", bound}, {"lambda", "0.1"}}) != natural);
  }
  CHECK(trained("margin-robust", {{"lambda", "0"}, {"mu", "0.001"}}) != natural);
}

TEST_CASE("margin-robust refuses networks its bounds do not cover, with the reason") {
  const Network tanh = multilayer_perceptron("4-5-3", "tanh", false, {}, {{4}});
  const Network sigmoid = multilayer_perceptron("4-5-3", "sigmoid", false, {}, {{4}});
  CHECK_THAT(margin_robust({})->refuses(tanh), Catch::Contains("tanh"));
  CHECK(margin_robust({})->refuses(sigmoid).empty());
  CHECK_THAT(margin_robust({{"bound", "linear"}})->refuses(sigmoid), Catch::Contains("needs relu"));
  const Dataset data = random_dataset(tanh, 20, 1);
  TrainingPlan plan;
  plan.loss = "margin-robust";
  plan.loss_params = Params("loss", find_loss("margin-robust").params, {});
  plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
  CHECK_THROWS_WITH(Trainer(tanh, data, plan), Catch::Contains("margin-robust") && Catch::Contains("tanh"));
}
