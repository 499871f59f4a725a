#include <bit>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/perturb/flips.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {
namespace {

Encoded random_codes(const Format& format, Stream& stream) {
  std::vector<float> weights(24);
  for (auto& weight : weights) weight = static_cast<float>(stream.normal());
  weights[3] = 0;
  weights[4] = -0.0F;
  weights[5] = 1e-30F;
  return format.encode(format, weights, 4, 6);
}

double sum_of(const std::vector<MatrixD>& levels, int flips, std::size_t i) {
  double sum = 0;
  for (int t = 0; t < flips; ++t) sum += levels[static_cast<std::size_t>(t)].data()[i];
  return sum;
}

}  // namespace

TEST_CASE("No pattern of flips moves a weight further than its levels say, in any format") {
  for (const auto& format : format_table()) {
    INFO(format.name);
    // Every pair of bits of wide formats, every pattern of narrow ones.
    const std::int64_t flips = format.bits <= 8 ? format.bits : 2;
    if (!refuses_flips(format, flips).empty()) continue;
    Stream stream(7, {1});
    const Encoded encoded = random_codes(format, stream);
    const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << format.bits) - 1);
    const FlipReach reach = flip_reach(encoded, flips, mask);
    REQUIRE(reach.levels() == static_cast<std::size_t>(flips));
    const auto check = [&](std::size_t i, std::uint32_t pattern) {
      const int t = std::popcount(pattern);
      const double change =
          static_cast<double>(encoded.decode(i, encoded.codes[i] ^ pattern)) - encoded.decode(i);
      const double up = sum_of(reach.up, t, i);
      const double down = sum_of(reach.down, t, i);
      const bool within =
          std::isfinite(change) ? change <= up && -change <= down : std::isinf(up) && std::isinf(down);
      if (!within) {
        FAIL("weight " << i << ", pattern " << pattern << ": " << change << " is not within -" << down
                       << " .. " << up);
      }
    };
    for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
      if (format.bits <= 8) {
        for (std::uint32_t pattern = 1; pattern <= mask; ++pattern) check(i, pattern);
      } else {
        for (int a = 0; a < format.bits; ++a) {
          for (int b = a; b < format.bits; ++b) {
            check(i, (std::uint32_t{1} << a) | (std::uint32_t{1} << b));
          }
        }
      }
    }
  }
}

TEST_CASE("One flip reaches its level, and only bits of the mask count") {
  for (const auto& format : format_table()) {
    INFO(format.name);
    Stream stream(7, {2});
    const Encoded encoded = random_codes(format, stream);
    for (const std::uint32_t mask : {std::uint32_t{1}, std::uint32_t{2} + (1U << (format.bits - 1))}) {
      const FlipReach reach = flip_reach(encoded, 1, mask);
      for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
        double up = 0, down = 0;
        for (int b = 0; b < format.bits; ++b) {
          const std::uint32_t bit = std::uint32_t{1} << b;
          if ((mask & bit) == 0) continue;
          const double change =
              static_cast<double>(encoded.decode(i, encoded.codes[i] ^ bit)) - encoded.decode(i);
          up = std::max(up, std::isfinite(change) ? change : INFINITY);
          down = std::max(down, std::isfinite(change) ? -change : INFINITY);
        }
        const double slack = 1e-5 * (encoded.scale.empty() ? 0 : encoded.scale.back() * (1 << format.bits));
        REQUIRE(reach.up[0].data()[i] >= up);
        REQUIRE(reach.down[0].data()[i] >= down);
        if (std::isfinite(up)) REQUIRE(reach.up[0].data()[i] <= up * (1 + 1e-12) + slack);
        if (std::isfinite(down)) REQUIRE(reach.down[0].data()[i] <= down * (1 + 1e-12) + slack);
      }
    }
  }
}

}  // namespace temblor
