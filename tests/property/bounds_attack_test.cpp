#include <algorithm>
#include <map>

#include <catch2/catch.hpp>
#include <support/tiny.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Case {
  std::string attack;
  std::map<std::string, std::string> params;
};

const std::vector<Case> cases = {
    {"weight-pgd", {{"scope", "sample"}, {"steps", "20"}}},
    {"weight-pgd", {{"scope", "sample"}, {"steps", "20"}, {"ball", "relative"}, {"biases", "true"}}},
    {"weight-pgd", {{"steps", "20"}, {"biases", "true"}}},
    {"gaussian", {}},
    {"weight-pgd", {{"scope", "sample"}, {"steps", "20"}, {"input-eps", "0.02"}}},
    {"weight-pgd", {{"scope", "sample"}, {"steps", "20"}, {"ball", "l2-row"}, {"input-eps", "0.01"}}},
    {"weight-pgd", {{"scope", "sample"}, {"steps", "20"}, {"ball", "l2"}}},
};

MatrixD golden_pairs(const Evaluator& evaluator, const Dataset& data) {
  MatrixD pairs = evaluator.golden().logits().cast<double>();
  for (Index n = 0; n < pairs.rows(); ++n) {
    pairs.row(n) = pairs(n, data.labels[static_cast<std::size_t>(n)]) - pairs.row(n).array();
  }
  return pairs;
}

}  // namespace

TEST_CASE("no attack's float32 drop is above any bound of its threat set plus the float32 term") {
  std::map<std::string, double> tightest;
  for (std::uint32_t t = 0; t < 42; ++t) {
    Stream stream(30, {t, 0, 0});
    const auto& [name, given] = cases[t % cases.size()];
    const std::string activation = t % 12 < 8 ? "relu" : "tanh";
    const auto net = tiny(stream, {{10, 8, 8, 4}, activation, true, t % 3 == 0, 20});
    const auto& entry = find_attack(name);
    const AttackContext context{net.network,
                                net.data,
                                find_format("fp32"),
                                t % 2 == 0 ? LayerSet{0, 1, 2} : LayerSet{1},
                                t % 4 == 1 ? 0.05 : 0.01,
                                Params("attack '" + name + "'", entry.params, given)};
    const auto attack = entry.make(context);
    const auto set = attack->threat();
    const Evaluator evaluator(net.network, net.data);
    Evaluator::Scratch scratch(evaluator);
    TrialSamples samples;
    evaluator.evaluate(attack->perturb(stream), scratch, samples);
    const auto pairs = golden_pairs(evaluator, net.data);
    for (const auto& bound : bound_table()) {
      if (!bound.refuses(net.network, set).empty()) continue;
      const auto values = bound.compute({net.network, net.data, set, true, checked_params(bound, {})});
      const MatrixD total = values.value + values.arithmetic;
      const auto margin = margin_drop_bound(pairs, total, net.data.labels);
      for (std::size_t n = 0; n < samples.drop.size(); ++n) {
        const auto i = static_cast<Index>(n);
        INFO(bound.name << " against " << name << ", network " << t << ", image " << n << ", " << set.key);
        REQUIRE(samples.drop[n] <= margin(i));
        REQUIRE(samples.pair_drop[n] <= total(i, samples.pair_class[n]));
        if (margin(i) > 0) tightest[bound.name] = std::max(tightest[bound.name], samples.drop[n] / margin(i));
      }
    }
  }
  // The comparison has power: attacks come close to every bound somewhere.
  REQUIRE(tightest.size() == bound_table().size());
  for (const auto& [bound, ratio] : tightest) {
    INFO(bound << " " << ratio);
    CHECK(ratio > (bound == "norm-product" ? 0.3 : 0.8));
  }
}
