#include <cmath>

#include <catch2/catch.hpp>
#include <support/statistics.hpp>

#include <temblor/formats/format.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr std::size_t draws = 20000;

/// One weight many times, between two that fix the grid.
Encoded repeated(const Format& format, float weight, Stream& stream) {
  std::vector<float> weights(draws + 2, weight);
  weights.front() = -1;
  weights.back() = 1;
  return encode_stochastic(format, weights, 1, weights.size(), stream);
}

}  // namespace

TEST_CASE("stochastic rounding is unbiased between any two neighbours, where rounding to nearest is not") {
  const auto seed = test_seed();
  std::uint32_t point = 0;
  for (const auto& format : format_table()) {
    if (format.name == "fp32") continue;
    CAPTURE(format.name);
    for (const float weight : {0.30103F, -0.15F, 0.0103F, -0.9F}) {
      CAPTURE(weight);
      Stream stream(seed, {point++, 0, 0});
      const auto encoded = repeated(format, weight, stream);
      double lower = -HUGE_VAL;
      double upper = HUGE_VAL;
      const auto wanted = static_cast<double>(weight);
      for (std::uint32_t code = 0; code < 1U << static_cast<unsigned>(format.bits); ++code) {
        const auto value = static_cast<double>(encoded.decode(0, code));
        if (value <= wanted && value > lower) lower = value;
        if (value > wanted && value < upper) upper = value;
      }
      if (std::isinf(lower) || std::isinf(upper)) {  // beyond an affine grid of few values
        const auto end = std::isinf(lower) ? upper : lower;
        for (std::size_t i = 1; i <= draws; ++i) REQUIRE(static_cast<double>(encoded.decode(i)) == end);
        continue;
      }
      std::int64_t up = 0;
      for (std::size_t i = 1; i <= draws; ++i) {
        const auto value = static_cast<double>(encoded.decode(i));
        REQUIRE((value == lower || value == upper));
        up += value == upper;
      }
      const double share = (wanted - lower) / (upper - lower);
      CAPTURE(share);
      CHECK(std::abs(binomial_z(up, draws, share)) < 5);
      // Power: a probability that is off by 0.06 would show.
      if (share > 0.3 && share < 0.7) CHECK(std::abs(binomial_z(up, draws, share + 0.06)) > 5);
      const bool nearest_up = share > 0.5;
      if (share > 0.02 && share < 0.98) CHECK(std::abs(binomial_z(nearest_up ? draws : 0, draws, share)) > 5);
    }
  }
}

TEST_CASE("stochastic rounding depends on its stream alone, and keeps the values of the format") {
  const auto seed = test_seed();
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    Stream first(seed, {1, 2, 3});
    Stream again(seed, {1, 2, 3});
    Stream other(seed, {1, 2, 4});
    const auto a = repeated(format, 0.30103F, first);
    CHECK(a.codes == repeated(format, 0.30103F, again).codes);
    if (format.name != "fp32") CHECK(a.codes != repeated(format, 0.30103F, other).codes);
    // Values of the format stay as they are, whatever is drawn.
    const std::vector<float> values = {a.decode(0), a.decode(1), a.decode(draws + 1), 0};
    const auto nearest = format.encode(format, values, 1, values.size());
    if (!format.quantiser.affine)
      CHECK(encode_stochastic(format, values, 1, 4, other).codes == nearest.codes);
  }
}
