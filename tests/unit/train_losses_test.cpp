// Losses that act on a whole batch: where they look, and what they leave to the optimiser.

#include <bit>
#include <cmath>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/train/trainer.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A batch of one block that keeps the weights of every evaluation.
class Recorded final : public Batch {
 public:
  Recorded(const Network& network, const Dataset& data, const Loss& loss)
      : network_(network), data_(data), loss_(loss), view_(network.view()) {
    for (const Weights* layer : view_) shapes_.push_back(*layer);
    gradients_ = zeros_like(shapes_);
  }

  const WeightView& weights() const override { return view_; }
  const TrainingTime& time() const override { return now; }
  Index images() const override { return data_.size(); }
  Stream stream() const override { return {7, {0, 0, draw}}; }
  LossSum evaluate(const WeightView& weights) override {
    seen.emplace_back();
    for (const Weights* layer : weights) seen.back().push_back(*layer);
    gradients_ = zeros_like(shapes_);
    std::vector<Weights*> pointers;
    for (Weights& layer : gradients_) pointers.push_back(&layer);
    Activations scratch;
    const LossSum sum = loss_.add_gradients(network_, weights, {data_.images, data_.labels},
                                            1.0 / static_cast<double>(data_.size()), scratch, pointers);
    found.push_back(gradients_);
    return sum;
  }
  std::vector<Weights>& gradients() override { return gradients_; }

  TrainingTime now;
  std::uint32_t draw = 0;
  std::vector<std::vector<Weights>> seen;   ///< weights of each evaluation
  std::vector<std::vector<Weights>> found;  ///< and its gradients

 private:
  const Network& network_;
  const Dataset& data_;
  const Loss& loss_;
  WeightView view_;
  std::vector<Weights> shapes_;
  std::vector<Weights> gradients_;
};

std::unique_ptr<Loss> make(const std::string& name, const std::map<std::string, std::string>& given) {
  return find_loss(name).make(Params("loss '" + name + "'", find_loss(name).params, given));
}

struct Case {
  Network network = random_network("6-8-7-4", 11, true);
  Dataset data = random_dataset(network, 20, 5);
};

double norm(const Matrix& values) {
  return std::sqrt(values.cast<double>().squaredNorm());
}

}  // namespace

TEST_CASE("awp: one step goes to the edge of each layer's ball along the gradient, biases stay") {
  const Case with;
  const auto loss = make("awp", {{"gamma", "0.02"}});
  Recorded batch(with.network, with.data, *loss);
  loss->step(batch);
  REQUIRE(batch.seen.size() == 2);
  for (std::size_t m = 0; m < 3; ++m) {
    const Weights& base = with.network.weights(static_cast<int>(m));
    CHECK(same_bits(batch.seen[0][m], base));
    const Matrix v = batch.seen[1][m].weight - base.weight;
    const Matrix& g = batch.found[0][m].weight;
    CHECK(norm(v) == Approx(0.02 * norm(base.weight)).epsilon(1e-4));
    CHECK(v.cast<double>().cwiseProduct(g.cast<double>()).sum() == Approx(norm(v) * norm(g)).epsilon(1e-4));
    CHECK(batch.seen[1][m].bias == base.bias);
    CHECK(same_bits(batch.gradients()[m], batch.found[1][m]));
  }
}

TEST_CASE("awp: several steps raise the loss and stay in the ball") {
  const Case with;
  const auto loss = make("awp", {{"gamma", "0.05"}, {"steps", "4"}, {"step", "0.6"}});
  Recorded batch(with.network, with.data, *loss);
  const LossSum reported = loss->step(batch);
  REQUIRE(batch.seen.size() == 5);
  for (std::size_t k = 1; k < 5; ++k) {
    for (std::size_t m = 0; m < 3; ++m) {
      const Matrix& base = with.network.weights(static_cast<int>(m)).weight;
      const double least = k == 1 ? 0.0299 : 0.0;
      CHECK(norm(batch.seen[k][m].weight - base) <= 0.05 * norm(base) * (1 + 1e-5));
      CHECK(norm(batch.seen[k][m].weight - base) >= least * norm(base));
    }
  }
  Recorded again(with.network, with.data, *loss);
  CHECK(reported.loss == again.evaluate(again.weights()).loss);
  WeightView last;
  for (const Weights& layer : batch.seen.back()) last.push_back(&layer);
  CHECK(again.evaluate(last).loss > reported.loss);
}

TEST_CASE("sam: one ball over all parameters") {
  const Case with;
  const auto loss = make("sam", {{"rho", "0.3"}});
  Recorded batch(with.network, with.data, *loss);
  loss->step(batch);
  REQUIRE(batch.seen.size() == 2);
  double squares = 0;
  double along = 0;
  double slope = 0;
  for (std::size_t m = 0; m < 3; ++m) {
    const Weights& base = with.network.weights(static_cast<int>(m));
    const MatrixD e = (batch.seen[1][m].weight - base.weight).cast<double>();
    const VectorD b = (batch.seen[1][m].bias - base.bias).cast<double>();
    const Weights& g = batch.found[0][m];
    squares += e.squaredNorm() + b.squaredNorm();
    along += e.cwiseProduct(g.weight.cast<double>()).sum() + b.dot(g.bias.cast<double>());
    slope += g.weight.cast<double>().squaredNorm() + g.bias.cast<double>().squaredNorm();
    CHECK(same_bits(batch.gradients()[m], batch.found[1][m]));
  }
  CHECK(std::sqrt(squares) == Approx(0.3).epsilon(1e-4));
  CHECK(along == Approx(0.3 * std::sqrt(slope)).epsilon(1e-4));
}

TEST_CASE("randbet: clean codes first, then inverted bits, and the mean of both gradients") {
  const Case with;
  const Format& int8 = find_format("int8");
  const auto loss = make("randbet", {{"ber", "0.05"}, {"start-loss", "1e9"}});
  Recorded batch(with.network, with.data, *loss);
  loss->step(batch);
  REQUIRE(batch.seen.size() == 2);
  const StoredNetwork stored = store(with.network, int8);
  std::int64_t inverted = 0;
  std::int64_t bits = 0;
  for (std::size_t m = 0; m < 3; ++m) {
    CHECK(same_bits(batch.seen[0][m], stored.network.weights(static_cast<int>(m))));
    CHECK(batch.seen[1][m].bias == batch.seen[0][m].bias);
    const Encoded& codes = stored.codes[m];
    for (std::size_t i = 0; i < codes.codes.size(); ++i) {
      // The code that decodes to the faulted value says which bits were inverted.
      for (std::uint32_t code = 0; code < 256; ++code) {
        if (codes.decode(i, code) != batch.seen[1][m].weight.data()[i]) continue;
        inverted += std::popcount(code ^ codes.codes[i]);
        break;
      }
      bits += 8;
    }
    const Matrix mean = 0.5F * (batch.found[0][m].weight + batch.found[1][m].weight);
    CHECK((batch.gradients()[m].weight - mean).cwiseAbs().maxCoeff() < 1e-6F);
  }
  // Five standard deviations around p bits.
  const double expected = 0.05 * static_cast<double>(bits);
  CHECK(std::abs(static_cast<double>(inverted) - expected) < 5 * std::sqrt(0.95 * expected));

  Recorded same(with.network, with.data, *loss);
  loss->step(same);
  Recorded other(with.network, with.data, *loss);
  other.draw = 1;
  loss->step(other);
  CHECK(same_bits(same.seen[1][0], batch.seen[1][0]));
  CHECK_FALSE(same_bits(other.seen[1][0], batch.seen[1][0]));
}

TEST_CASE("randbet: without bit errors, and before they start, the loss is that of the quantised weights") {
  const Case with;
  const StoredNetwork stored = store(with.network, find_format("int4"));
  for (const auto& given : {std::map<std::string, std::string>{{"format", "int4"}, {"ber", "0"}},
                            {{"format", "int4"}, {"ber", "0.1"}, {"start-loss", "0"}}}) {
    const auto loss = make("randbet", given);
    Recorded batch(with.network, with.data, *loss);
    const LossSum sum = loss->step(batch);
    REQUIRE(batch.seen.size() == 1);
    const auto natural = make("cross-entropy", {});
    Recorded clean(with.network, with.data, *natural);
    CHECK(sum.loss == clean.evaluate(stored.network.view()).loss);
    for (std::size_t m = 0; m < 3; ++m) CHECK(same_bits(batch.gradients()[m], clean.gradients()[m]));
  }
}

TEST_CASE("randbet refuses formats with codes that are no number") {
  for (const std::string format : {"fp32", "bf16", "fp16"}) {
    CHECK_THROWS_WITH(make("randbet", {{"format", format}}),
                      Catch::Contains(format) && Catch::Contains("no finite number"));
  }
  CHECK_THROWS_WITH(make("randbet", {{"format", "imt8"}}), Catch::Contains("int8"));
  for (const std::string format : {"int8", "int8-channel", "int4"})
    CHECK(make("randbet", {{"format", format}}));
}

TEST_CASE("certified: radius and mixture follow the ramp") {
  const Case with;
  const auto loss =
      make("certified", {{"eps", "0.01"}, {"kappa", "0.25"}, {"ramp-start", "2"}, {"ramp-length", "4"}});
  const auto natural = make("cross-entropy", {});
  const auto at = [&](double epochs) {
    Recorded batch(with.network, with.data, *loss);
    batch.now.epochs = epochs;
    return loss->step(batch).loss;
  };
  const auto fixed = [&](const std::string& eps, const std::string& kappa) {
    const auto whole =
        make("certified", {{"eps", eps}, {"kappa", kappa}, {"ramp-start", "0"}, {"ramp-length", "0"}});
    Recorded batch(with.network, with.data, *whole);
    return whole->step(batch).loss;
  };
  Recorded plain(with.network, with.data, *natural);
  const double base = natural->step(plain).loss;
  CHECK(at(0) == base);
  CHECK(at(2) == base);
  CHECK(at(3) == Approx(fixed("0.0025", "0.8125")));
  CHECK(at(4) == Approx(fixed("0.005", "0.625")));
  CHECK(at(6) == Approx(fixed("0.01", "0.25")));
  CHECK(at(60) == at(6));
  CHECK(at(6) > at(4));
  CHECK(at(4) > base);
  CHECK(fixed("0.01", "1") == base);
}

TEST_CASE("certified: with one layer the worst logits are known by hand") {
  Network network = multilayer_perceptron("2-2", "relu", false, {}, {{2}});
  network = network.with(0, {(Matrix(2, 2) << 1, 0, 0, 1).finished(), {}});
  Dataset data;
  data.shape = {{2}};
  data.classes = 2;
  data.images = (Matrix(1, 2) << 2, -1).finished();
  data.labels = {0};
  data.index = {0};
  const auto loss =
      make("certified", {{"eps", "0.25"}, {"kappa", "0"}, {"ramp-length", "0"}, {"ramp-start", "0"}});
  Recorded batch(network, data, *loss);
  // Margin 3, and both rows move by 0.25 ||x||_1 = 0.75.
  CHECK(loss->step(batch).loss == Approx(std::log1p(std::exp(-1.5))));
}

TEST_CASE("radius 0: awp, sam and certified train as cross-entropy does, byte for byte") {
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
  CHECK(trained("awp", {{"gamma", "0"}}) == natural);
  CHECK(trained("sam", {{"rho", "0"}}) == natural);
  CHECK(trained("certified", {{"eps", "0"}, {"ramp-start", "0"}}) == natural);
  CHECK(trained("awp", {}) != natural);
  CHECK(trained("sam", {}) != natural);
  CHECK(trained("certified", {{"ramp-start", "0"}}) != natural);
}

TEST_CASE("clipping holds after every step") {
  const Network network = random_network("12-20-10-4", 3, true);
  const Dataset data = random_dataset(network, 200, 4);
  TrainingPlan plan;
  plan.epochs = 1;
  plan.optimizer_params = Params("adam", find_optimizer("adam").params, {});
  plan.clip = 0.125;
  Trainer trainer(network, data, plan);
  while (!trainer.finished()) {
    trainer.step();
    for (int m = 0; m < 3; ++m) CHECK(trainer.network().weights(m).weight.cwiseAbs().maxCoeff() <= 0.125F);
  }
  CHECK(trainer.network().weights(0).weight.maxCoeff() == 0.125F);
  CHECK(trainer.network().weights(0).bias.cwiseAbs().maxCoeff() > 0.125F);
  plan.clip = -1;
  CHECK_THROWS_WITH(Trainer(network, data, plan), Catch::Contains("clip"));
}
