#include <cmath>
#include <limits>

#include <catch2/catch.hpp>
#include <support/bit_search.hpp>
#include <support/evaluate.hpp>
#include <support/networks.hpp>
#include <support/residual.hpp>

#include <temblor/attacks/pgd.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/perturb/activations.hpp>
#include <temblor/perturb/sample.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::vector<ThreatSet> sets_of(const Network& network, const LayerSet& layers) {
  return {linf_set(network, 0.03, layers, true), relative_set(network, 0.1, layers, false),
          l2_set(network, 0.2, layers), l2_row_set(network, 0.1, layers)};
}

double margin_of(const Network& network, const Dataset& data, const SampleDelta& delta, Index n) {
  const Matrix image = data.images.row(n);
  const auto own = perturbed_weights(network, delta, n, image);
  WeightView view = network.view();
  for (std::size_t m = 0; m < view.size(); ++m) {
    if (own[m]) view[m] = &*own[m];
  }
  const Matrix values = logits(network, view, delta.seen(n, image));
  return margin(values.data(), network.classes(), data.labels[static_cast<std::size_t>(n)]);
}

}  // namespace

TEST_CASE("weights of an image's own in a graph with convolutions: in place equals made, bit for bit") {
  const Network network = residual_network(1);
  const Dataset data = random_dataset(network, 7, 2);
  Maker maker(3);
  const Evaluator evaluator(network, data);
  Evaluator::Scratch scratch(evaluator);
  for (const LayerSet& layers : {LayerSet{0, 1, 2, 3, 4}, LayerSet{1, 3}, LayerSet{4}}) {
    for (const ThreatSet& set : sets_of(network, layers)) {
      CAPTURE(set.key);
      SampleDelta delta{set, std::vector<Matrix>(5)};
      for (const int layer : layers)
        delta.slack[static_cast<std::size_t>(layer)] =
            maker.matrix(data.size(), slack_size(network, set, layer));
      TrialSamples fast, full;
      const Perturbation perturbation{delta};
      REQUIRE(evaluator.evaluate(perturbation, scratch, fast) ==
              evaluator.evaluate_full(perturbation, scratch, full));
      REQUIRE(fast.drop == full.drop);
      REQUIRE(fast.pair_drop == full.pair_drop);
    }
  }
}

TEST_CASE("per-image ascent in a graph with convolutions beats random members, and restarts only add") {
  const Network network = residual_network(4);
  const Dataset data = random_dataset(network, 6, 5);
  const LayerSet layers{0, 1, 2, 3, 4};
  pgd::Options options;
  options.loss = pgd::Loss::margin;
  options.target = pgd::Target::all;
  options.steps = 20;
  options.step = 0.15;
  Maker maker(6);
  for (const ThreatSet& set : sets_of(network, layers)) {
    CAPTURE(set.key);
    const SampleDelta worst = pgd::per_sample(network, data, set, options, Stream(7, {}));
    double sum = 0;
    for (Index n = 0; n < data.size(); ++n) sum += margin_of(network, data, worst, n);
    double lowest = std::numeric_limits<double>::infinity();
    for (int round = 0; round < 30; ++round) {
      SampleDelta member{set, std::vector<Matrix>(5)};
      for (std::size_t m = 0; m < 5; ++m) {
        Matrix& slack = member.slack[m];
        slack = maker.matrix(data.size(), slack_size(network, set, static_cast<int>(m)));
        if (box_alone(set)) slack = slack.unaryExpr([](float s) { return s < 0 ? -1.0F : 1.0F; });
      }
      double total = 0;
      for (Index n = 0; n < data.size(); ++n) total += margin_of(network, data, member, n);
      lowest = std::min(lowest, total);
    }
    CHECK(sum < lowest);
    // Starting where it ends finds no better: restarts only add.
    options.restarts = 2;
    const SampleDelta more = pgd::per_sample(network, data, set, options, Stream(7, {}));
    for (Index n = 0; n < data.size(); ++n)
      CHECK(margin_of(network, data, more, n) <= margin_of(network, data, worst, n) + 1e-5);
    options.restarts = 1;
  }
}

TEST_CASE("activations of channels, rows and columns share a scale a channel, and have names") {
  const Network network = residual_network(10);
  const Dataset data = random_dataset(network, 12, 11);
  const StoredNetwork held =
      hold_activations(store(network, find_format("int8-channel")), {0, 4}, true, data.images);
  REQUIRE(held.sites->size() == 3);
  CHECK((*held.sites)[0].grid.rows == 60);  // the image is flat
  const Encoded& grid = (*held.sites)[1].grid;
  REQUIRE(grid.rows == 4);
  REQUIRE(grid.cols == 30);
  REQUIRE(grid.scale.size() == 4);
  Activations outputs;
  forward(held.network, held.network.view(), data.images, outputs);
  const int node = (*held.sites)[1].node;
  const Matrix& before =
      outputs
          .outputs[static_cast<std::size_t>(held.network.nodes()[static_cast<std::size_t>(node)].inputs[0])];
  const Matrix& after = outputs.outputs[static_cast<std::size_t>(node)];
  for (Index c = 0; c < 4; ++c) {
    const float scale = grid.scale[static_cast<std::size_t>(c)];
    CHECK(scale * 127 == Approx(before.middleCols(c * 30, 30).cwiseAbs().maxCoeff()));
    CHECK((after - before).middleCols(c * 30, 30).cwiseAbs().maxCoeff() <= 0.5001F * scale);
    for (Index unit = c * 30; unit < c * 30 + 30; ++unit) {
      const auto code = activation_code(grid, after(0, unit), unit);
      CHECK(activation_value(grid, code, unit) == after(0, unit));
    }
  }
  CHECK(unit_name({{4, 6, 5}}, 0) == "0/0/0");
  CHECK(unit_name({{4, 6, 5}}, 119) == "3/5/4");
  CHECK(unit_name({{120}}, 119) == "119");
}

TEST_CASE("bit search in a graph with convolutions: the first flip is the best of all single flips") {
  for (const auto* format : {"int8", "int4-affine-channel", "fp8-e4m3"}) {
    CAPTURE(format);
    SearchBench bench(residual_network(8), 9, format);
    MeanLoss best{-1, 0};
    for (int layer = 0; layer < bench.network.layers(); ++layer) {
      const auto& codes = bench.stored.codes[static_cast<std::size_t>(layer)];
      for (std::size_t i = 0; i < codes.codes.size(); ++i) {
        for (int bit = 0; bit < codes.format->bits; ++bit) {
          Weights weights = bench.stored.network.weights(layer);
          const float value = codes.decode(i, codes.codes[i] ^ (1U << bit));
          if (!std::isfinite(value)) continue;
          weights.weight.data()[i] = value;
          const MeanLoss loss = loss_of(bench.stored.network.with(layer, std::move(weights)), bench.data);
          if (loss.mean > best.mean) best = loss;
        }
      }
    }
    const FlipLog log = bench.log(1, {{"batch", "9"}, {"candidates", "100000"}});
    REQUIRE(log.steps.size() == 1);
    CHECK(log.steps[0].effect.loss == Approx(best.mean).epsilon(1e-6));
    CHECK(log.steps[0].effect.correct == best.correct);
  }
}

TEST_CASE("bit search in a graph with convolutions: logged losses are those of full inference") {
  for (const auto* cap : {"0", "3"}) {
    SearchBench bench(residual_network(9), 40, "int8");
    const SearchBench::Given given{{"batch", "40"}, {"candidates", "5"}, {"cap", cap}};
    const FlipLog log = bench.log(6, given);
    REQUIRE(log.steps.size() >= 3);
    Network broken = bench.stored.network;
    for (const auto& [flip, effect] : log.steps) {
      Weights weights = broken.weights(static_cast<int>(flip.layer));
      weights.weight.data()[flip.index] = bench.stored.codes[flip.layer].decode(flip.index, flip.after);
      broken = broken.with(static_cast<int>(flip.layer), std::move(weights));
      const MeanLoss loss = loss_of(broken, bench.data);
      CHECK(effect.correct == loss.correct);
      if (cap == std::string("0")) CHECK(effect.loss == Approx(loss.mean).epsilon(1e-6));
    }
    // What the attack hands on is the same network.
    const auto perturbation = bench.attack(6, given)->perturb(Stream(5, {}));
    const Network again = bench.broken(perturbation);
    for (int layer = 0; layer < broken.layers(); ++layer)
      CHECK(same_bits(again.weights(layer), broken.weights(layer)));
  }
}
