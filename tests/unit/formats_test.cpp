#include <bit>
#include <cmath>

#include <catch2/catch.hpp>
#ifdef __F16C__
#include <immintrin.h>
#endif

#include <temblor/formats/floats.hpp>
#include <temblor/formats/format.hpp>

using namespace temblor;
using namespace temblor::formats;

namespace {

/// Rounding to `digits` significant bits, smallest exponent `least`, largest value `most`: in double,
/// independent of the bit-level code.
double rounded(double value, int digits, int least, double most) {
  const double magnitude = std::abs(value);
  if (magnitude == 0 || !std::isfinite(value)) return value;
  const int unit = std::max(std::ilogb(magnitude), least) - digits + 1;
  const double nearest = std::ldexp(std::nearbyint(std::ldexp(magnitude, -unit)), unit);
  return std::copysign(nearest > most ? HUGE_VAL : nearest, value);
}

/// Float bit patterns spread over all of them, with every neighbourhood of a change of exponent.
std::vector<std::uint32_t> patterns() {
  std::vector<std::uint32_t> all;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32U); bits += 2711) {
    all.push_back(static_cast<std::uint32_t>(bits));
  }
  for (std::uint32_t exponent = 0; exponent < 512; ++exponent) {
    for (const std::uint32_t mantissa :
         {0x0U, 0x1U, 0xfffU, 0x1000U, 0x1001U, 0x2fffU, 0x3000U, 0x3001U, 0x7fffU, 0x8000U, 0x8001U,
          0x17fffU, 0x18000U, 0x18001U, 0x7fefffU, 0x7ff000U, 0x7f7fffU, 0x7f8000U, 0x7fffffU}) {
      all.push_back((exponent << 23U) | mantissa);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("fp16: known codes") {
  // IEEE 754 binary16: one, largest, smallest normal and subnormal, pi, ties to even.
  CHECK(to_fp16(1.0F) == 0x3c00U);
  CHECK(to_fp16(-2.0F) == 0xc000U);
  CHECK(to_fp16(65504.0F) == 0x7bffU);
  CHECK(to_fp16(65519.9F) == 0x7bffU);
  CHECK(to_fp16(65520.0F) == 0x7c00U);
  CHECK(to_fp16(0x1p-14F) == 0x0400U);
  CHECK(to_fp16(0x1p-24F) == 0x0001U);
  CHECK(to_fp16(0x1p-25F) == 0x0000U);
  CHECK(to_fp16(0x1.000002p-25F) == 0x0001U);
  CHECK(to_fp16(3.14159265F) == 0x4248U);
  CHECK(to_fp16(1.0F + 0x1p-11F) == 0x3c00U);
  CHECK(to_fp16(1.0F + 3 * 0x1p-11F) == 0x3c02U);
  CHECK(from_fp16(0x3555U) == 0.333251953125F);
  CHECK(from_fp16(0x03ffU) == 1023 * 0x1p-24F);
  CHECK(std::isinf(from_fp16(0xfc00U)));
  CHECK(std::isnan(from_fp16(0x7c01U)));
}

TEST_CASE("bf16: known codes") {
  CHECK(to_bf16(1.0F) == 0x3f80U);
  CHECK(to_bf16(-0.0F) == 0x8000U);
  CHECK(to_bf16(3.14159265F) == 0x4049U);
  CHECK(to_bf16(1.0F + 0x1p-8F) == 0x3f80U);
  CHECK(to_bf16(1.0F + 3 * 0x1p-8F) == 0x3f82U);
  CHECK(to_bf16(0x1.fep127F) == 0x7f7fU);
  CHECK(to_bf16(0x1.ffp127F) == 0x7f80U);
  CHECK(from_bf16(0x4049U) == 3.140625F);
  CHECK(to_bf16(std::bit_cast<float>(0x7f800001U)) == 0x7fc0U);  // a NaN stays one
}

TEST_CASE("fp16, bf16 and fp8 rounding agrees with rounding in double") {
  std::int64_t wrong = 0;
  for (const auto bits : patterns()) {
    const auto value = std::bit_cast<float>(bits);
    if (std::isnan(value)) {
      wrong += !std::isnan(from_fp16(to_fp16(value))) + !std::isnan(from_bf16(to_bf16(value)));
      continue;
    }
    const double half = rounded(value, 11, -14, 65504);
    const double e5m2 = rounded(value, 3, -14, 57344);
    const double e4m3 = rounded(value, 4, -6, 448);
    wrong += e5m2 != static_cast<double>(from_fp8_e5m2(to_fp8_e5m2(value)));
    const auto small = static_cast<double>(from_fp8_e4m3(to_fp8_e4m3(value)));
    wrong += std::isinf(e4m3) ? !std::isnan(small) : e4m3 != small;
    const double brain = rounded(value, 8, -126, 0x1.fep127);
    wrong += half != static_cast<double>(from_fp16(to_fp16(value)));
    wrong += brain != static_cast<double>(from_bf16(to_bf16(value)));
    wrong += std::signbit(value) != std::signbit(from_fp16(to_fp16(value)));
  }
  CHECK(wrong == 0);
}

TEST_CASE("fp8 E4M3: the codes of the OCP 8-bit Floating Point Specification") {
  CHECK(from_fp8_e4m3(0x7e) == 448);
  CHECK(from_fp8_e4m3(0x08) == 0x1p-6F);
  CHECK(from_fp8_e4m3(0x07) == 0.875F * 0x1p-6F);
  CHECK(from_fp8_e4m3(0x01) == 0x1p-9F);
  CHECK(from_fp8_e4m3(0x38) == 1);
  CHECK(std::isnan(from_fp8_e4m3(0x7f)));
  CHECK(std::isnan(from_fp8_e4m3(0xff)));
  CHECK(std::signbit(from_fp8_e4m3(0x80)));
  CHECK(to_fp8_e4m3(464) == 0x7e);  // halfway to 480, which would be the code of NaN
  CHECK(to_fp8_e4m3(464.1F) == 0x7f);
  CHECK(to_fp8_e4m3(-1e30F) == 0xff);
  CHECK(to_fp8_e4m3(HUGE_VALF) == 0x7f);
  CHECK(to_fp8_e4m3(-0x1p-10F) == 0x80);
  CHECK(to_fp8_e4m3(0x1.8p-9F) == 0x02);
}

TEST_CASE("fp8 E5M2: the codes of the OCP 8-bit Floating Point Specification") {
  CHECK(from_fp8_e5m2(0x7b) == 57344);
  CHECK(from_fp8_e5m2(0x04) == 0x1p-14F);
  CHECK(from_fp8_e5m2(0x03) == 0.75F * 0x1p-14F);
  CHECK(from_fp8_e5m2(0x01) == 0x1p-16F);
  CHECK(from_fp8_e5m2(0xfc) == -HUGE_VALF);
  for (const std::uint32_t code : {0x7dU, 0x7eU, 0x7fU, 0xfdU, 0xfeU, 0xffU}) {
    CHECK(std::isnan(from_fp8_e5m2(code)));
    CHECK(to_fp8_e5m2(from_fp8_e5m2(code)) == code);
  }
  CHECK(to_fp8_e5m2(61439.9F) == 0x7b);
  CHECK(to_fp8_e5m2(61440) == 0x7c);
  CHECK(to_fp8_e5m2(-HUGE_VALF) == 0xfc);
}

TEST_CASE("posits: known codes") {
  const auto value = [](const char* name, std::uint32_t code) {
    const Encoded any{&find_format(name), 1, 1, {code}, {}, {}};
    return any.decode(0);
  };
  const auto code = [](const char* name, float weight) {
    const Format& format = find_format(name);
    return format.encode(format, {&weight, 1}, 1, 1).codes[0];
  };
  // Gustafson and Yonemoto 2017: posit<16,3> 0000110111011101 is 477 / 2^27.
  CHECK(value("posit16-3", 0x0ddd) == 477 * 0x1p-27F);
  // Standard for Posit Arithmetic 2022 (two exponent bits): 1, 16, smallest and largest, NaR.
  CHECK(value("posit8-2", 0x40) == 1);
  CHECK(value("posit8-2", 0x60) == 16);
  CHECK(value("posit8-2", 0x01) == 0x1p-24F);
  CHECK(value("posit8-2", 0x7f) == 0x1p24F);
  CHECK(value("posit8-2", 0xc0) == -1);
  CHECK(std::isnan(value("posit8-2", 0x80)));
  CHECK(value("posit8-0", 0x50) == 1.5F);
  CHECK(value("posit8-0", 0x7f) == 64);
  CHECK(value("posit16-1", 0x7fff) == 0x1p28F);
  CHECK(code("posit16-1", 3.14159265F) == 0x5922);
  CHECK(code("posit16-1", -3.14159265F) == 0xa6de);
  CHECK(code("posit8-0", 1e9F) == 0x7f);
  CHECK(code("posit8-0", -1e-9F) == 0xff);  // only 0 becomes 0
}

TEST_CASE("fixed point: q2.5 by hand") {
  const Format& format = find_format("q2.5");
  const std::vector<float> weights = {1, -1, 3.96875F, 100, -100, 1.0F / 64, 3.0F / 64};
  const auto encoded = format.encode(format, weights, 1, 7);
  CHECK(encoded.codes == std::vector<std::uint32_t>{0x20, 0xe0, 0x7f, 0x7f, 0x80, 0, 2});
  CHECK(encoded.decode(0, 0x80) == -4);
  CHECK(field_of(format, 7) == "sign");
  CHECK(field_of(format, 6) == "integer");
  CHECK(field_of(format, 0) == "fraction");
}

#ifdef __F16C__
TEST_CASE("fp16 agrees with the processor's conversions, NaN made quiet") {
  std::int64_t wrong = 0;
  for (const auto bits : patterns()) {
    const auto value = std::bit_cast<float>(bits);
    const std::uint32_t expected = _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT);
    const std::uint32_t code = to_fp16(value);
    wrong += (std::isnan(value) ? (code | 0x200U) : code) != expected;
  }
  for (std::uint32_t code = 0; code < 0x10000U; ++code) {
    const float expected = _cvtsh_ss(static_cast<unsigned short>(code));
    const float value = from_fp16(code);
    if (std::isnan(expected)) {
      wrong += (std::bit_cast<std::uint32_t>(value) | 0x400000U) != std::bit_cast<std::uint32_t>(expected);
    } else {
      wrong += std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(expected);
    }
  }
  CHECK(wrong == 0);
}
#endif

TEST_CASE("int8: scale is max|w| / 127, ties go to even, -128 decodes as it is") {
  const auto& int8 = find_format("int8");
  const std::vector<float> weights = {-254, 1, 3, 5, 0, 100};
  const auto encoded = int8.encode(int8, weights, 2, 3);
  REQUIRE(encoded.scale == std::vector<float>{2});
  CHECK(encoded.zero_point.empty());
  CHECK(encoded.codes == std::vector<std::uint32_t>{0x81, 0, 2, 2, 0, 50});
  CHECK(encoded.decode(0, 0x80) == -256);
  CHECK(encoded.decode(0, 0x01) == 2);  // -127 with its sign bit inverted
}

TEST_CASE("int8-channel: every row has its own scale") {
  const auto& format = find_format("int8-channel");
  const std::vector<float> weights = {-254, 1, 3, 127, 0, 100};
  const auto encoded = format.encode(format, weights, 2, 3);
  CHECK(encoded.scale == std::vector<float>{2, 1});
  CHECK(encoded.codes == std::vector<std::uint32_t>{0x81, 0, 2, 127, 0, 100});
}

TEST_CASE("int8-affine: zero is exact and both ends are codes") {
  const auto& format = find_format("int8-affine");
  const std::vector<float> weights = {-50, 0, 205, 1.5F};
  const auto encoded = format.encode(format, weights, 1, 4);
  CHECK(encoded.scale == std::vector<float>{1});
  CHECK(encoded.zero_point == std::vector<std::int32_t>{50 - 128});
  CHECK(encoded.codes == std::vector<std::uint32_t>{0x80, 0x80 + 50, 0x7f, 0x80 + 52});
  CHECK(encoded.decode(1) == 0);
}

TEST_CASE("uint8 holds the codes of int8-affine, counted from 0") {
  const auto& format = find_format("uint8");
  const std::vector<float> weights = {-50, 0, 205, 1.5F};
  const auto encoded = format.encode(format, weights, 1, 4);
  CHECK(encoded.scale == std::vector<float>{1});
  CHECK(encoded.zero_point == std::vector<std::int32_t>{50});
  CHECK(encoded.codes == std::vector<std::uint32_t>{0, 50, 255, 52});
  CHECK(encoded.decode(2) == 205);
  CHECK(encoded.decode(2, 127) == 77);
}

TEST_CASE("int4: every code by hand") {
  const auto& int4 = find_format("int4");
  const std::vector<float> weights = {-7, -3.5F, 0.5F, 1.5F, 2.5F, 7};
  const auto encoded = int4.encode(int4, weights, 2, 3);
  REQUIRE(encoded.scale == std::vector<float>{1});
  CHECK(encoded.codes == std::vector<std::uint32_t>{0x9, 0xc, 0x0, 0x2, 0x2, 0x7});
  const std::vector<float> values = {0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1};
  for (std::uint32_t code = 0; code < 16; ++code) CHECK(encoded.decode(0, code) == values[code]);

  const auto& rows = find_format("int4-channel");
  const auto each = rows.encode(rows, {weights}, 2, 3);
  CHECK(each.scale == std::vector<float>{1, 1});
  CHECK(find_format("int4-affine-channel").bits == 4);
}

TEST_CASE("int2: -1, 0, 1, and -2 after a fault alone") {
  const auto& int2 = find_format("int2");
  const std::vector<float> weights = {-0.5F, 0.25F, 0.26F, 0.1F};
  const auto encoded = int2.encode(int2, weights, 1, 4);
  CHECK(encoded.scale == std::vector<float>{0.5F});
  CHECK(encoded.codes == std::vector<std::uint32_t>{3, 0, 1, 0});
  CHECK(encoded.decode(0, 2) == -1.0F);
}

TEST_CASE("quantiser: levels of b bits, per channel and saturation") {
  const Quantiser ternary{2, false, true};
  const std::vector<float> weights = {4, -1.9F, 2.1F, 0, 0, 0};
  const auto grid = ternary.grid(weights, 2, 3);
  CHECK(grid.step == std::vector<float>{4, 0});
  CHECK(ternary.code(-1.9F, 4, 0) == 0);
  CHECK(ternary.code(2.1F, 4, 0) == 1);
  CHECK(ternary.code(1e30F, 4, 0) == 1);
  CHECK(ternary.code(-1e30F, 4, 0) == -1);
  CHECK(Quantiser{16, true, false}.most_code() == 65535);
}
