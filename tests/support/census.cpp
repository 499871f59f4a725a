#include <algorithm>
#include <cmath>
#include <iostream>

#include <catch2/catch.hpp>
#include <support/census.hpp>
#include <support/fashion.hpp>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {
namespace {

double largest_logit(const Network& network, const Dataset& data, const SparseDelta& delta) {
  const auto layers = perturbed_weights(network, delta);
  WeightView view = network.view();
  for (std::size_t m = 0; m < view.size(); ++m) {
    if (layers[m]) view[m] = &*layers[m];
  }
  return std::max(1.0, static_cast<double>(logits(network, view, data.images).cwiseAbs().maxCoeff()));
}

}  // namespace

CensusRequest every_fault(const StoredNetwork& stored) {
  CensusRequest request;
  for (int layer = 0; layer < stored.network.layers(); ++layer) request.layers.push_back(layer);
  for (int bit = 0; bit < stored.format->bits; ++bit) request.bits.push_back(bit);
  return request;
}

void check_census(const Network& network, const Dataset& data, const Format& format, CensusSeen& seen,
                  bool traced, Index block) {
  const StoredNetwork stored = store(network, format);
  const Evaluator evaluator(stored.network, data);
  CensusRequest request = every_fault(stored);
  request.block = block;
  const Census census = take_census(stored, data, evaluator, request);
  INFO(network.summary() << ", " << format.name << ", " << census.why_not_traced);
  REQUIRE(census.traced == traced);
  seen.inferred += census.inferred;
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  for (const LayerCensus& layer : census.layers) {
    const Encoded& codes = stored.codes[static_cast<std::size_t>(layer.layer)];
    for (std::size_t f = 0; f < layer.faults(); ++f) {
      const std::size_t index = f / census.bits.size();
      const auto bit = static_cast<unsigned>(census.bits[f % census.bits.size()]);
      const float after = codes.decode(index, codes.codes[index] ^ (1U << bit));
      const SparseDelta delta{
          {{static_cast<std::uint32_t>(layer.layer), static_cast<std::uint32_t>(index), after}}};
      const TrialCounts full = evaluator.evaluate_full({delta}, scratch, samples);
      CAPTURE(layer.layer, index, bit, codes.decode(index), after);
      REQUIRE(layer.changed[f] == full.changed);
      REQUIRE(layer.broken[f] == full.broken);
      REQUIRE(layer.fixed[f] == full.fixed);
      REQUIRE(layer.no_prediction[f] == full.no_prediction);
      REQUIRE(evaluator.golden().correct - layer.broken[f] + layer.fixed[f] == full.correct);
      ++seen.faults;
      seen.changed += full.changed;
      seen.no_prediction += full.no_prediction;
      seen.fixed += full.fixed;
      seen.infinite += std::isinf(after) || std::isnan(after) ? 1 : 0;
      if (std::isinf(full.drop_max)) {
        REQUIRE(layer.worst_drop[f] == full.drop_max);
        REQUIRE(layer.worst_image[f] == full.worst_sample);
        continue;
      }
      // Rounding of float32 inference, relative to the logits.
      const double tolerance = 2e-5 * largest_logit(stored.network, data, delta);
      REQUIRE(std::fabs(layer.worst_drop[f] - std::max(0.0, full.drop_max)) <= tolerance);
      REQUIRE((layer.worst_drop[f] > 0) == (layer.worst_image[f] >= 0));
      if (layer.worst_image[f] >= 0) {
        REQUIRE(std::fabs(samples.drop[static_cast<std::size_t>(layer.worst_image[f])] -
                          layer.worst_drop[f]) <= tolerance);
      }
    }
  }
}

void check_census_on_fashion(const std::string& arch, const std::string& format, int images, int faults) {
  Dataset data;
  try {
    data = load_dataset({"fashion-mnist", Split::test, "", "first:" + std::to_string(images)}, {});
  } catch (const Error& error) {
    std::cout << "skipped: " << error.what() << '\n';
    return;
  }
  const StoredNetwork stored = store(trained_on_fashion(arch, 6000), find_format(format));
  const Evaluator evaluator(stored.network, data);
  REQUIRE(3 * evaluator.golden().correct > images);
  CensusRequest request;
  for (int layer = 0; layer < stored.network.layers(); ++layer) request.layers.push_back(layer);
  for (int bit = 0; bit < stored.format->bits; ++bit) request.bits.push_back(bit);
  const Census census = take_census(stored, data, evaluator, request);
  REQUIRE(census.traced);
  Evaluator::Scratch scratch(evaluator);
  TrialSamples samples;
  Stream stream(41, {});
  const auto bits = static_cast<std::uint64_t>(stored.format->bits);
  std::int64_t changed = 0;
  for (int trial = 0; trial < faults; ++trial) {
    const LayerCensus& layer = census.layers[static_cast<std::size_t>(trial) % census.layers.size()];
    const auto index = stream.below(static_cast<std::uint64_t>(layer.outputs * layer.inputs));
    const std::uint64_t bit = trial % 8 < 4 ? stream.below(bits) : bits - 1 - stream.below(bits / 3);
    const std::size_t f = index * bits + bit;
    const Encoded& codes = stored.codes[static_cast<std::size_t>(layer.layer)];
    const float after = codes.decode(index, codes.codes[index] ^ (1U << bit));
    const SparseDelta delta{
        {{static_cast<std::uint32_t>(layer.layer), static_cast<std::uint32_t>(index), after}}};
    const TrialCounts full = evaluator.evaluate_full({delta}, scratch, samples);
    CAPTURE(layer.layer, index, bit, codes.decode(index), after);
    REQUIRE(layer.changed[f] == full.changed);
    REQUIRE(layer.broken[f] == full.broken);
    REQUIRE(layer.fixed[f] == full.fixed);
    REQUIRE(layer.no_prediction[f] == full.no_prediction);
    changed += full.changed;
    if (std::isinf(full.drop_max)) {
      REQUIRE(layer.worst_drop[f] == full.drop_max);
      REQUIRE(layer.worst_image[f] == full.worst_sample);
    } else {
      // Logits of about 10, or as large as the drop: float32 rounding.
      const double wanted = std::max(0.0, full.drop_max);
      REQUIRE(std::fabs(layer.worst_drop[f] - wanted) <= 1e-4 + 1e-5 * wanted);
    }
  }
  CHECK(changed > faults);
}

}  // namespace temblor::testing
