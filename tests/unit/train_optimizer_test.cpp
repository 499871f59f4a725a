#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/train/optimizer.hpp>
#include <temblor/train/schedule.hpp>

using namespace temblor;

namespace {

Params checked(const OptimizerEntry& entry, const std::map<std::string, std::string>& given) {
  return Params("optimizer '" + entry.name + "'", entry.params, given);
}

std::vector<Weights> one(float weight, float bias) {
  return {{Matrix::Constant(1, 1, weight), Vector::Constant(1, bias)}};
}

double factor(const std::string& name, const std::map<std::string, std::string>& given,
              const TrainingTime& time) {
  const ScheduleEntry& entry = find_schedule(name);
  return entry.factor(Params(name, entry.params, given), time);
}

}  // namespace

TEST_CASE("sgd: two steps by hand, decay on weights alone") {
  const auto& entry = find_optimizer("sgd");
  auto parameters = one(1, 1);
  const auto gradients = one(0.5F, 0.5F);
  const auto sgd = entry.make(checked(entry, {{"momentum", "0.5"}, {"weight-decay", "0.25"}}), parameters);
  sgd->step(parameters, gradients, 0.5);
  CHECK(parameters[0].weight(0, 0) == 0.625F);  // v = 0.5 + 0.25 * 1 = 0.75
  CHECK(parameters[0].bias(0) == 0.75F);        // v = 0.5
  sgd->step(parameters, gradients, 1);
  CHECK(parameters[0].weight(0, 0) == -0.40625F);  // v = 0.375 + 0.5 + 0.25 * 0.625 = 1.03125
  CHECK(parameters[0].bias(0) == 0.0F);            // v = 0.25 + 0.5
}

TEST_CASE("adam: two steps against the formula in double") {
  const auto& entry = find_optimizer("adam");
  auto parameters = one(1, 2);
  const auto adam =
      entry.make(checked(entry, {{"beta1", "0.8"}, {"beta2", "0.95"}, {"epsilon", "0.125"}}), parameters);
  double weight = 1;
  double mean = 0;
  double square = 0;
  for (int step = 1; step <= 2; ++step) {
    const double g = step == 1 ? 0.5 : -0.25;
    adam->step(parameters, one(static_cast<float>(g), 0), 0.1);
    mean = 0.8 * mean + 0.2 * g;
    square = 0.95 * square + 0.05 * g * g;
    weight -=
        0.1 * (mean / (1 - std::pow(0.8, step))) / (std::sqrt(square / (1 - std::pow(0.95, step))) + 0.125);
    CHECK(parameters[0].weight(0, 0) == Approx(weight).epsilon(1e-6));
    CHECK(parameters[0].bias(0) == 2.0F);
  }
  CHECK(std::abs(weight - 1) > 0.05);
}

TEST_CASE("every optimiser goes down a parabola, on tensors longer than a chunk") {
  for (const auto& entry : optimizer_table()) {
    INFO(entry.name);
    std::vector<Weights> parameters = {{Matrix::Ones(200, 100), Vector::Ones(3)}};
    const auto optimizer = entry.make(checked(entry, {}), parameters);
    for (int step = 0; step < 400; ++step) {
      const std::vector<Weights> gradients = parameters;  // of |w|^2 / 2
      optimizer->step(parameters, gradients, 0.05);
    }
    CHECK(parameters[0].weight.cwiseAbs().maxCoeff() < 1e-2F);
    CHECK(parameters[0].bias.cwiseAbs().maxCoeff() < 1e-2F);
  }
}

TEST_CASE("schedules") {
  CHECK(factor("constant", {}, {3, 0.7}) == 1);
  CHECK(factor("cosine", {}, {0, 0}) == 1);
  CHECK(factor("cosine", {}, {0, 0.5}) == Approx(0.5));
  CHECK(factor("cosine", {}, {0, 1}) == Approx(0).margin(1e-15));
  CHECK(factor("step", {}, {2, 0.3}) == 1);
  CHECK(factor("step", {}, {3, 0.4}) == Approx(0.1));
  CHECK(factor("step", {{"step-every", "2"}, {"step-factor", "0.5"}}, {5, 0.4}) == Approx(0.25));
}

TEST_CASE("unknown names and bad parameters are refused with a hint") {
  CHECK_THROWS_WITH(find_optimizer("adma"), Catch::Contains("did you mean 'adam'"));
  CHECK_THROWS_WITH(find_schedule("cosin"), Catch::Contains("did you mean 'cosine'"));
  CHECK_THROWS_WITH(checked(find_optimizer("adam"), {{"momentum", "0.9"}}), Catch::Contains("momentum"));
  CHECK_THROWS_AS(checked(find_optimizer("sgd"), {{"momentum", "1"}}), Error);
  CHECK_THROWS_AS(checked(find_optimizer("sgd"), {{"weight-decay", "-1"}}), Error);
  CHECK_THROWS_AS(factor("step", {{"step-every", "0"}}, {}), Error);
}
