#include <cmath>
#include <limits>
#include <optional>

#include <catch2/catch.hpp>
#include <support/evaluate.hpp>

#include <temblor/evaluate/evaluator.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Networks of convolutions, small enough to be inferred many times.
class Builder {
 public:
  Builder(Maker& maker, Shape input) : maker_(maker), network_(std::move(input), {}) {}

  int conv(Index channels, LayerOptions options, std::vector<int> inputs = {}) {
    const Shape& from = shape(inputs.empty() ? last() : inputs[0]);
    const Index groups = options.contains("groups") ? static_cast<Index>(options["groups"][0]) : 1;
    const auto taps = static_cast<Index>(options["kernel"][0] * options["kernel"][1]);
    return weighted("conv2d", channels, from.dims[0] / groups * taps, std::move(options), std::move(inputs));
  }
  int dense(Index units) { return weighted("dense", units, shape(last()).size(), {}, {}); }
  int scale() { return weighted("scale", shape(last()).dims[0], 1, {}, {}); }
  int layer(const std::string& kind, LayerOptions options = {}, std::vector<int> inputs = {}) {
    return network_.add(make_layer(kind, options), {}, std::move(inputs));
  }
  Network take() { return std::move(network_); }

 private:
  int last() const { return static_cast<int>(network_.nodes().size()) - 1; }
  const Shape& shape(int node) const {
    return node < 0 ? network_.input() : network_.nodes()[static_cast<std::size_t>(node)].shape;
  }
  int weighted(const std::string& kind, Index outputs, Index depth, LayerOptions options,
               std::vector<int> inputs) {
    const float size = 1.5F / std::sqrt(static_cast<float>(depth));
    Weights weights{size * maker_.matrix(outputs, depth), 0.1F * maker_.matrix(outputs, 1).col(0)};
    return network_.add(make_layer(kind, options), std::move(weights), std::move(inputs));
  }

  Maker& maker_;
  Network network_;
};

const LayerOptions three{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}};
const LayerOptions halving{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}, {"stride", {2, 2}}};
const LayerOptions pair{{"kernel", {2, 2}}, {"stride", {2, 2}}};

/// Convolution, pooling and a dense tail.
Network chain(Maker& maker) {
  Builder to(maker, {{2, 10, 9}});
  to.conv(5, three);
  to.layer("relu");
  to.layer("max-pool", pair);
  to.conv(7, {{"kernel", {2, 3}}});
  to.layer("relu");
  to.layer("average-pool", pair);
  to.layer("flatten");
  to.dense(11);
  to.layer("relu");
  to.dense(6);
  return to.take();
}

/// Two residual blocks, the second with a strided shortcut, and a global mean.
Network residual(Maker& maker) {
  Builder to(maker, {{3, 8, 8}});
  to.conv(6, three);
  int from = to.layer("relu");
  to.conv(6, three);
  to.layer("relu");
  int sum = to.conv(6, three);
  to.layer("add", {}, {sum, from});
  from = to.layer("relu");
  to.conv(9, halving);
  to.layer("relu");
  sum = to.conv(9, three);
  const int shortcut = to.conv(9, {{"kernel", {1, 1}}, {"stride", {2, 2}}}, {from});
  to.layer("add", {{"signs", {1, -1}}}, {sum, shortcut});
  to.layer("relu");
  to.layer("global-average-pool");
  to.layer("flatten");
  to.dense(7);
  return to.take();
}

/// Depthwise and grouped convolutions, scaling, a join, dilation; no dense tail.
Network grouped(Maker& maker) {
  Builder to(maker, {{2, 9, 11}});
  to.conv(4, {{"kernel", {3, 3}}, {"stride", {2, 1}}, {"padding", {0, 2, 1, 0}}});
  to.scale();
  const int first = to.layer("leaky-relu");
  to.conv(4, {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}, {"groups", {4}}});
  to.layer("relu");
  const int second = to.conv(6, {{"kernel", {1, 1}}, {"groups", {2}}});
  to.layer("concat", {}, {second, first});
  to.layer("tanh");
  to.conv(5, {{"kernel", {2, 2}}, {"dilation", {2, 3}}});
  to.layer("relu");
  to.layer("global-average-pool");
  to.layer("flatten");
  return to.take();
}

/// Faults of one layer (the drawn ones of the first drawn layer) or of any.
SparseDelta faults(Maker& maker, const Network& network, Index changes, bool one_layer) {
  SparseDelta delta = maker.faults(network, changes);
  if (one_layer) {
    const std::uint32_t layer = delta.changes.front().layer;
    std::erase_if(delta.changes, [&](const Change& change) { return change.layer != layer; });
  }
  return delta;
}

void check_counts(const TrialCounts& wanted, const TrialCounts& counts) {
  REQUIRE(counts.correct == wanted.correct);
  REQUIRE(counts.changed == wanted.changed);
  REQUIRE(counts.changed_top5 == wanted.changed_top5);
  REQUIRE(counts.broken == wanted.broken);
  REQUIRE(counts.fixed == wanted.fixed);
  REQUIRE(counts.no_prediction == wanted.no_prediction);
  REQUIRE(counts.argmax_correct == wanted.argmax_correct);
}

/// Drops agree exactly, in the dense tail to rounding.
void check_drops(const std::vector<double>& wanted, const std::vector<double>& drops, bool tail) {
  double largest = 1;
  for (const double drop : wanted) largest = std::isinf(drop) ? largest : std::max(largest, std::fabs(drop));
  for (std::size_t n = 0; n < wanted.size(); ++n) {
    if (tail && !std::isinf(wanted[n])) {
      REQUIRE(std::fabs(drops[n] - wanted[n]) <= 1e-4 * largest);
    } else {
      REQUIRE(drops[n] == wanted[n]);
    }
  }
}

}  // namespace

TEST_CASE("convolutional networks: faults count as full inference does, whatever memory activations have") {
  Maker maker(4);
  for (int round = 0; round < 12; ++round) {
    const Network network = round % 3 == 0 ? chain(maker) : round % 3 == 1 ? residual(maker) : grouped(maker);
    const Dataset data = maker.data(30, network.input().size(), network.classes(), 0.5);
    const bool has_tail = round % 3 != 2;
    const int tail = has_tail ? network.layers() - (round % 3 == 0 ? 2 : 1) : network.layers();
    struct Variant {
      Evaluator evaluator;
      Evaluator::Scratch scratch;
      TrialSamples samples{};
    };
    std::vector<Variant> variants;
    for (const std::int64_t memory : {std::numeric_limits<std::int64_t>::max(), std::int64_t{0},
                                      std::int64_t{30'000}, std::int64_t{120'000}}) {
      Evaluator evaluator(network, data, memory);
      Evaluator::Scratch scratch(evaluator);
      variants.push_back({std::move(evaluator), std::move(scratch)});
    }
    REQUIRE(variants[0].evaluator.golden().no_prediction == 0);
    std::int64_t noticed = 0;
    for (int trial = 0; trial < 40; ++trial) {
      const SparseDelta delta =
          faults(maker, network, trial % 2 == 0 ? 1 : 1 + maker.below(12), trial % 4 != 3);
      const Naive wanted = naive(network, data, perturbed_weights(network, delta));
      const bool in_tail = static_cast<int>(delta.changes.front().layer) >= tail;
      const Change& change = delta.changes.front();
      CAPTURE(round, change.layer, change.index, change.after, delta.changes.size());
      std::optional<TrialCounts> first;
      for (Variant& variant : variants) {
        const TrialCounts counts = variant.evaluator.evaluate({delta}, variant.scratch, variant.samples);
        check_counts(wanted.counts, counts);
        check_drops(wanted.drop, variant.samples.drop, in_tail);
        check_drops(wanted.pair_drop, variant.samples.pair_drop, in_tail);
        if (!in_tail) REQUIRE(counts == wanted.counts);
        if (!first) first = counts;
        REQUIRE(counts == *first);
        REQUIRE(variant.samples.drop == variants[0].samples.drop);
        REQUIRE(variant.samples.pair_drop == variants[0].samples.pair_drop);
        REQUIRE(variant.samples.pair_class == variants[0].samples.pair_class);
      }
      noticed += wanted.counts.changed + wanted.counts.no_prediction;
      const TrialCounts full =
          variants[1].evaluator.evaluate_full({delta}, variants[1].scratch, variants[1].samples);
      REQUIRE(full == wanted.counts);
    }
    CHECK(noticed > 0);
  }
}

TEST_CASE("kept activations: what fits, the rest as computed again") {
  Maker maker(5);
  const Network network = residual(maker);
  const Dataset data = maker.data(300, network.input().size(), network.classes(), 0.3);
  Activations all;
  forward(network, network.view(), data.images, all);
  std::size_t fewest = network.nodes().size();
  for (const std::int64_t memory : {std::int64_t{1} << 40, std::int64_t{1'000'000}, std::int64_t{0}}) {
    const Evaluator evaluator(network, data, memory);
    const auto& kept = evaluator.golden().activations.outputs;
    std::int64_t bytes = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < kept.size(); ++i) {
      const auto outputs = evaluator.outputs(static_cast<int>(i));
      REQUIRE(*outputs == all.outputs[i]);
      if (kept[i].size() == 0) continue;
      ++count;
      if (i + 1 < kept.size()) bytes += kept[i].size() * static_cast<std::int64_t>(sizeof(float));
    }
    CHECK(bytes <= memory);
    CHECK(count < fewest);
    fewest = count;
  }
  CHECK(fewest == 1);
}

TEST_CASE("convolutional networks: trials of one pass give what one after the other gives, bit for bit") {
  Maker maker(6);
  for (int round = 0; round < 9; ++round) {
    const Network network = round % 3 == 0 ? chain(maker) : round % 3 == 1 ? residual(maker) : grouped(maker);
    const Dataset data = maker.data(70, network.input().size(), network.classes(), 0.5);
    std::vector<Perturbation> trials;
    for (int trial = 0; trial < 25; ++trial)
      trials.push_back({faults(maker, network, trial % 3 == 0 ? 1 + maker.below(12) : 1, trial % 5 != 4)});
    trials.push_back({SparseDelta{}});
    trials.push_back({DenseDelta{}});
    std::vector<const Perturbation*> pointers;
    for (const Perturbation& trial : trials) pointers.push_back(&trial);
    for (const std::int64_t memory : {std::numeric_limits<std::int64_t>::max(), std::int64_t{0},
                                      std::int64_t{70'000}, std::int64_t{300'000}}) {
      const Evaluator evaluator(network, data, memory);
      REQUIRE(evaluator.golden().no_prediction == 0);
      CHECK(evaluator.shares());
      Evaluator::Scratch alone(evaluator);
      Evaluator::Scratch shared(evaluator);
      TrialSamples one;
      std::vector<TrialSamples> many(trials.size());
      // Few trials a pass, and many; buffers are used again.
      for (const std::size_t batch : {trials.size(), std::size_t{2}, std::size_t{7}}) {
        for (std::size_t first = 0; first < trials.size(); first += batch) {
          const std::size_t count = std::min(batch, trials.size() - first);
          const auto counts =
              evaluator.evaluate({pointers.data() + first, count}, shared, {many.data() + first, count});
          for (std::size_t t = 0; t < count; ++t) {
            CAPTURE(round, memory, batch, first + t);
            const TrialSamples& samples = many[first + t];
            REQUIRE(counts[t] == evaluator.evaluate(trials[first + t], alone, one));
            REQUIRE(samples.drop == one.drop);
            REQUIRE(samples.pair_drop == one.pair_drop);
            REQUIRE(samples.pair_class == one.pair_class);
          }
        }
      }
    }
  }
}
