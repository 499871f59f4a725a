#include <cmath>
#include <iostream>

#include <catch2/catch.hpp>
#include <support/census.hpp>
#include <support/fashion.hpp>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

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
