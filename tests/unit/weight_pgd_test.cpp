#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::unique_ptr<Attack> make(const Network& network, const Dataset& data,
                             const std::map<std::string, std::string>& given, double severity = 0.01) {
  const AttackEntry& entry = find_attack("weight-pgd");
  return entry.make({.network = network,
                     .data = data,
                     .format = find_format("fp32"),
                     .layers = {0, 1},
                     .severity = severity,
                     .params = Params("attack 'weight-pgd'", entry.params, given)});
}

}  // namespace

TEST_CASE("weight-pgd makes what its parameters say") {
  const Network network = random_network("5-4-3", 1, true);
  const Dataset data = random_dataset(network, 10, 2);
  const auto universal = make(network, data, {{"steps", "3"}, {"biases", "true"}});
  CHECK(universal->threat().key == linf_set(network, 0.01, {0, 1}, true).key);
  CHECK_FALSE(universal->deterministic());
  CHECK(std::holds_alternative<DenseDelta>(universal->perturb(Stream(1, {})).delta));
  const auto sample = make(
      network, data, {{"scope", "sample"}, {"ball", "relative"}, {"random-start", "false"}, {"steps", "3"}});
  CHECK(sample->threat().key == relative_set(network, 0.01, {0, 1}, false).key);
  CHECK_FALSE(sample->deterministic() == universal->deterministic());
  CHECK(std::holds_alternative<SampleDelta>(sample->perturb(Stream(1, {})).delta));
  const auto ball = make(network, data, {{"scope", "sample"}, {"ball", "l2"}, {"steps", "3"}});
  CHECK(ball->threat().key == l2_set(network, 0.01, {0, 1}).key);
  CHECK(std::get<SampleDelta>(ball->perturb(Stream(1, {})).delta).slack[0].rows() == 10);
}

TEST_CASE("weight-pgd refuses parameters that would be ignored, and says why") {
  const Network network = random_network("5-4-3", 1, true);
  const Dataset data = random_dataset(network, 10, 2);
  const std::vector<std::pair<std::map<std::string, std::string>, std::string>> refused = {
      {{{"scope", "sample"}, {"batch", "5"}}, "batch"},
      {{{"scope", "sample"}, {"keep", "accuracy"}}, "keep=accuracy"},
      {{{"scope", "sample"}, {"target", "all"}, {"loss", "cross-entropy"}}, "no single class"},
      {{{"scope", "sample"}, {"ball", "l2"}, {"polish", "1"}}, "polish"},
      {{{"target", "all"}}, "scope=sample"},
      {{{"polish", "1"}}, "scope=sample"},
      {{{"soft", "0.2"}}, "scope=sample"},
      {{{"random-start", "false"}, {"restarts", "2"}}, "every ascent is the same"},
      {{{"ball", "l2"}, {"biases", "true"}}, "weights only"},
      {{{"stepz", "3"}}, "steps"},
  };
  for (const auto& [given, words] : refused)
    CHECK_THROWS_WITH(make(network, data, given), Catch::Contains(words));
}

TEST_CASE("weight-pgd ends where logits and gradients overflow") {
  Network network = random_network("5-4-3", 1, false);
  for (int layer = 0; layer < 2; ++layer) {
    Weights large = network.weights(layer);
    large.weight *= 1e30F;
    network = network.with(layer, std::move(large));
  }
  const Dataset data = random_dataset(network, 10, 2);
  for (const std::string ball : {"linf", "l2"}) {
    for (const std::string scope : {"universal", "sample"}) {
      INFO(ball << " " << scope);
      const auto attack = make(
          network, data, {{"ball", ball}, {"scope", scope}, {"gradient", "normalised"}, {"steps", "3"}}, 1e6);
      const auto made = attack->perturb(Stream(1, {}));
      if (const auto* dense = std::get_if<DenseDelta>(&made.delta)) {
        for (const auto& layer : dense->layers) CHECK(layer->weight.allFinite());
      } else {
        for (const auto& slack : std::get<SampleDelta>(made.delta).slack) CHECK(slack.allFinite());
      }
    }
  }
}
