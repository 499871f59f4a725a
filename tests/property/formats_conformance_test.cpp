#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

namespace {

/// Weights of widely spread magnitude, zeros and ties included.
std::vector<float> some_weights(std::uint32_t seed, std::size_t count) {
  Stream stream(seed, {});
  std::vector<float> weights;
  for (std::size_t i = 0; i < count; ++i) {
    const auto exponent = static_cast<int>(stream.below(24)) - 20;
    weights.push_back(static_cast<float>(std::ldexp(stream.normal(), exponent)));
    if (stream.below(16) == 0) weights.back() = 0;
    if (stream.below(16) == 0) weights.back() = static_cast<float>(std::ldexp(1 + 2 * stream.below(64), -8));
  }
  return weights;
}

Encoded encode(const Format& format, const std::vector<float>& weights, std::size_t rows) {
  return format.encode(format, weights, rows, weights.size() / rows);
}

std::vector<float> decode(const Encoded& encoded) {
  std::vector<float> values;
  for (std::size_t i = 0; i < encoded.codes.size(); ++i) values.push_back(encoded.decode(i));
  return values;
}

/// The table, and other members of its families.
std::vector<Format> some_formats() {
  std::vector<Format> all = format_table();
  for (const auto* name : {"int3", "int16-channel", "int5-affine", "uint12-channel", "q0.7", "q7.8", "q15.0",
                           "q1.0", "posit3-0", "posit5-1", "posit12-2", "posit16-3"}) {
    all.push_back(find_format(name));
  }
  return all;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](float x, float y) {
           return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
         });
}

}  // namespace

TEST_CASE("formats: fields cover every bit once and are named") {
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    std::multiset<std::string> named;
    for (int bit = 0; bit < format.bits; ++bit) named.insert(field_of(format, bit));
    for (const auto& field : format.fields)
      CHECK(named.count(field.name) == static_cast<std::size_t>(field.bits));
    CHECK_THROWS_AS(field_of(format, format.bits), Error);
    CHECK_THROWS_AS(field_of(format, -1), Error);
    CHECK(&find_format(format.name) == &format);
  }
  CHECK_THROWS_WITH(find_format("int-8"), Catch::Contains("did you mean 'int8'?"));
}

TEST_CASE("formats: families by name") {
  CHECK(find_format("int5-affine").bits == 5);
  CHECK(find_format("uint12-channel").bits == 12);
  CHECK(find_format("q0.23").bits == 24);
  CHECK(find_format("q3.0").fields.size() == 2);
  CHECK(find_format("posit5-1").bits == 5);
  for (const auto* name : {"int5-affine", "uint12-channel", "q7.8", "posit16-3", "posit8-0"}) {
    CHECK(find_format(name).name == name);
    CHECK(&find_format(name) == &find_format(name));
  }
  for (const auto* name : {"int1",         "int17-channel", "uint32",    "q0.0",
                           "q20.4",        "posit2-0",      "posit17-1", "posit8-4",
                           "q99999.99999", "int-8",         "int08",     "q1.",
                           "q.1",          "q-1.4",         "q+1.4",     "posit8",
                           "posit8-",      "int",           "int8-",     "int8-channel-affine",
                           "uint8-affine", "q1.4 ",         "Q1.4",      ""}) {
    CAPTURE(name);
    CHECK_THROWS_AS(find_format(name), Error);
  }
  CHECK_THROWS_WITH(find_format("q20.4"), Catch::Contains("M + N from 1 to 23"));
}

TEST_CASE("formats: every pattern of at most 16 bits survives decode and encode") {
  for (const auto& format : some_formats()) {
    if (format.bits > 16) continue;
    CAPTURE(format.name);
    // Two rows whose extremes fix the grid of a scaled format; floats ignore it.
    const std::vector<float> frame = {-1.0F, 127.0F / 128.0F, -0.25F, 0.5F};
    auto encoded = encode(format, frame, 2);
    const std::uint32_t patterns = 1U << static_cast<unsigned>(format.bits);
    std::int64_t wrong = 0;
    for (std::size_t row = 0; row < 2; ++row) {
      for (std::uint32_t code = 0; code < patterns; ++code) {
        const float value = encoded.decode(row * encoded.cols, code);
        if (format.scaled) {
          const Quantiser& quantiser = format.quantiser;
          const std::size_t entry = quantiser.per_channel ? row : 0;
          const std::uint32_t lowest = format.order == CodeOrder::offset ? 0 : patterns / 2;
          const std::int32_t zero =
              quantiser.affine ? encoded.zero_point[entry] + static_cast<std::int32_t>(lowest) : 0;
          // -2^(b-1) is reached by faults only: symmetric encoding saturates one above.
          if (!quantiser.affine && code == lowest) {
            wrong += value != -static_cast<float>(lowest) * encoded.scale[entry];
            continue;
          }
          const std::int32_t offset = quantiser.affine ? static_cast<std::int32_t>(lowest) : 0;
          const auto again = quantiser.code(value, encoded.scale[entry], zero) - offset;
          wrong += (static_cast<std::uint32_t>(again) & (patterns - 1)) != code;
        } else {
          wrong += encode(format, {value}, 1).codes[0] != code;
        }
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE(
    "formats: the rounding error stays within the format's bound, and the bound is no wider than needed") {
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    double closest = 0;
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
      const auto weights = some_weights(seed, 96);
      const auto encoded = encode(format, weights, 6);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const double error =
            std::abs(static_cast<double>(encoded.decode(i)) - static_cast<double>(weights[i]));
        const double bound = format.rounding(encoded, weights[i], i / encoded.cols);
        if (error > bound) FAIL("weight " << weights[i] << " moved by " << error << ", bound " << bound);
        if (bound > 0) closest = std::max(closest, error / bound);
      }
    }
    if (format.name != "fp32") CHECK(closest > 0.98);
  }
}

TEST_CASE("formats: encoding decoded weights gives the same codes, scales and weights") {
  for (const auto& format : format_table()) {
    CAPTURE(format.name);
    for (std::uint32_t seed = 0; seed < 2000; ++seed) {
      const auto encoded = encode(format, some_weights(seed, 24), 3);
      const auto decoded = decode(encoded);
      const auto again = encode(format, decoded, 3);
      if (!encoded.zero_point.empty()) continue;  // an affine range may shrink, as its contract says
      REQUIRE(again.codes == encoded.codes);
      REQUIRE(again.scale == encoded.scale);
      REQUIRE(same_bits(decode(again), decoded));
    }
  }
}

TEST_CASE("formats: fp32 keeps every weight bit for bit") {
  const auto& fp32 = find_format("fp32");
  std::vector<float> weights = some_weights(1, 1000);
  for (const std::uint32_t bits :
       {0x80000000U, 0x00000001U, 0x7f800000U, 0x7fc12345U, 0x7f812345U, 0xff800000U}) {
    weights.push_back(std::bit_cast<float>(bits));
  }
  CHECK(same_bits(decode(encode(fp32, weights, 1)), weights));
}

TEST_CASE("formats: zero rows stay zero, tiny and huge rows keep the bound") {
  for (const auto& format : format_table()) {
    if (!format.scaled) continue;
    CAPTURE(format.name);
    CHECK(same_bits(decode(encode(format, {0, 0, 0, 0}, 2)), {0, 0, 0, 0}));
    Stream stream(5, {});
    for (int trial = 0; trial < 3000; ++trial) {
      const double scale = std::ldexp(1.0, static_cast<int>(stream.below(278)) - 150);
      std::vector<float> weights;
      for (int i = 0; i < 6; ++i) weights.push_back(static_cast<float>((2 * stream.uniform() - 1) * scale));
      if (trial % 10 == 0 && !format.quantiser.affine) {
        weights[0] = std::numeric_limits<float>::max();
      }
      const auto encoded = encode(format, weights, 2);
      const auto decoded = decode(encoded);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const double error = std::abs(static_cast<double>(decoded[i]) - static_cast<double>(weights[i]));
        REQUIRE(error <= format.rounding(encoded, weights[i], i / 3));
      }
      if (encoded.zero_point.empty()) REQUIRE(encode(format, decoded, 2).codes == encoded.codes);
    }
    CHECK_THROWS_AS(encode(format, {1, std::numeric_limits<float>::quiet_NaN()}, 1), Error);
  }
}
