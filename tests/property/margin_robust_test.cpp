// The margin-robust loss: its bounds against the sound ones, its gradients, and what it does to a network.

#include <cmath>

#include <catch2/catch.hpp>
#include <support/losses.hpp>
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
  return loss_of("margin-robust", given);
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
        const auto loss = margin_robust(
            {{"bound", bound}, {"form", form}, {"eps", std::to_string(eps)}, {"lambda", "1"}, {"mu", "0"}});
        const auto own = beyond_cross_entropy(*loss, net.network, net.data);
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
        const Tiny net = tiny(stream, options);
        const auto loss = margin_robust({{"bound", bound},
                                         {"form", form},
                                         {"eps", t < 3 ? "0.05" : "0.3"},
                                         {"lambda", "0.7"},
                                         {"mu", t % 2 == 0 ? "0.02" : "0"}});
        INFO(bound << ", " << form << ", network " << t);
        CHECK(worst_gradient(*loss, net.network, net.data, bends, values) < 2e-3);
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
