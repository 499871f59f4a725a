#include <bit>
#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <temblor/formats/format.hpp>

using namespace temblor;

namespace {

std::uint32_t encoded(const Format& format, float weight) {
  return format.encode(format, {&weight, 1}, 1, 1).codes[0];
}

float decoded(const Format& format, std::uint32_t code) {
  const Encoded any{&format, 1, 1, {code}, {}, {}};
  return any.decode(0);
}

/// Unscaled formats of at most 16 bits.
std::vector<const Format*> small_formats() {
  std::vector<const Format*> all;
  for (const auto& format : format_table()) {
    if (!format.scaled && format.bits <= 16) all.push_back(&format);
  }
  for (const auto* name :
       {"q0.7", "q7.8", "q15.0", "q1.0", "posit3-0", "posit5-1", "posit12-2", "posit16-3"}) {
    all.push_back(&find_format(name));
  }
  return all;
}

/// Codes of finite values in the order of their values, negative zero left out.
std::vector<std::uint32_t> ordered(const Format& format) {
  const std::uint32_t half = 1U << static_cast<unsigned>(format.bits - 1);
  std::vector<std::uint32_t> codes;
  for (std::uint32_t i = half; i-- > 1;) {
    codes.push_back(format.order == CodeOrder::sign_magnitude ? half | i : 2 * half - i);
  }
  if (format.order == CodeOrder::twos_complement) codes.insert(codes.begin(), half);
  for (std::uint32_t i = 0; i < half; ++i) codes.push_back(i);
  std::erase_if(codes, [&](std::uint32_t code) { return !std::isfinite(decoded(format, code)); });
  return codes;
}

bool is_posit(const Format& format) {
  return format.table != nullptr;
}

/// Value of a posit by the formula of the Standard for Posit Arithmetic (2022) on the bits as
/// they are: ((1 - 3s) + f) 2^((1 - 2s) (2^E r + e + s)).
double standard_value(std::uint32_t code, int bits, int exponent_bits) {
  if (code == 0) return 0;
  const auto bit = [&](int i) {
    return i < 0 ? 0 : static_cast<int>((code >> static_cast<unsigned>(i)) & 1U);
  };
  const int s = bit(bits - 1);
  const int first = bit(bits - 2);
  int run = 0;
  int i = bits - 2;
  for (; i >= 0 && bit(i) == first; --i) ++run;
  const int r = first == 1 ? run - 1 : -run;
  --i;
  int e = 0;
  for (int k = 0; k < exponent_bits; ++k) e = 2 * e + bit(i--);
  double f = 0;
  for (double weight = 0.5; i >= 0; --i, weight /= 2) f += weight * bit(i);
  return std::ldexp(1 - 3 * s + f, (1 - 2 * s) * ((1 << exponent_bits) * r + e + s));
}

/// Rounds as the bit string of unlimited length would be: cut after the format's bits, ties to even.
std::uint32_t standard_code(float weight, int bits, int exponent_bits) {
  if (weight == 0) return 0;
  const double magnitude = std::abs(static_cast<double>(weight));
  const int power = std::ilogb(magnitude);
  const int step = 1 << exponent_bits;
  const int regime = static_cast<int>(std::floor(static_cast<double>(power) / step));
  std::vector<int> string;
  for (int i = 0; i < (regime >= 0 ? regime + 1 : -regime); ++i) string.push_back(regime >= 0 ? 1 : 0);
  string.push_back(regime >= 0 ? 0 : 1);
  for (int i = exponent_bits - 1; i >= 0; --i) string.push_back(((power - regime * step) >> i) & 1);
  double fraction = std::ldexp(magnitude, -power) - 1;
  for (int i = 0; i < 24; ++i) {
    fraction *= 2;
    string.push_back(fraction >= 1 ? 1 : 0);
    fraction -= std::floor(fraction);
  }
  string.resize(std::max<std::size_t>(string.size(), 64), 0);
  std::uint32_t code = 0;
  const auto kept = static_cast<std::size_t>(bits - 1);
  for (std::size_t i = 0; i < kept; ++i) code = 2 * code + static_cast<std::uint32_t>(string[i]);
  bool sticky = false;
  for (std::size_t i = kept + 1; i < string.size(); ++i) sticky = sticky || string[i] == 1;
  if (string[kept] == 1 && (sticky || code % 2 == 1)) ++code;
  const std::uint32_t half = 1U << static_cast<unsigned>(bits - 1);
  code = std::clamp(code, 1U, half - 1);
  return weight > 0 ? code : 2 * half - code;
}

struct PositSize {
  const char* name;
  int bits;
  int exponent_bits;
};
constexpr PositSize posits[] = {{"posit8-0", 8, 0},   {"posit8-2", 8, 2},  {"posit16-1", 16, 1},
                                {"posit3-0", 3, 0},   {"posit5-1", 5, 1},  {"posit12-2", 12, 2},
                                {"posit16-3", 16, 3}, {"posit16-2", 16, 2}};

}  // namespace

TEST_CASE("formats: values grow with the codes, in the order that the row states") {
  for (const auto* format : small_formats()) {
    CAPTURE(format->name);
    const auto codes = ordered(*format);
    REQUIRE(codes.size() > 2);
    std::int64_t wrong = 0;
    for (std::size_t i = 1; i < codes.size(); ++i) {
      wrong += !(decoded(*format, codes[i - 1]) < decoded(*format, codes[i]));
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("formats: every tie of floats and fixed point goes to even, its neighbours to the nearer value") {
  for (const auto* format : small_formats()) {
    if (is_posit(*format)) continue;
    CAPTURE(format->name);
    const auto codes = ordered(*format);
    std::int64_t wrong = 0;
    for (std::size_t i = 1; i < codes.size(); ++i) {
      const auto lower = static_cast<double>(decoded(*format, codes[i - 1]));
      const auto upper = static_cast<double>(decoded(*format, codes[i]));
      const auto middle = static_cast<float>((lower + upper) / 2);
      REQUIRE(static_cast<double>(middle) == (lower + upper) / 2);
      const auto even = codes[i] % 2 == 0 ? upper : lower;
      const auto value = [&](float weight) {
        return static_cast<double>(decoded(*format, encoded(*format, weight)));
      };
      wrong += value(middle) != even;
      wrong += value(std::nextafter(middle, -HUGE_VALF)) != lower;
      wrong += value(std::nextafter(middle, HUGE_VALF)) != upper;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("posits: every code has the value that the standard's formula gives") {
  for (const auto& [name, bits, exponent_bits] : posits) {
    CAPTURE(name);
    const Format& format = find_format(name);
    const std::uint32_t half = 1U << static_cast<unsigned>(bits - 1);
    std::int64_t wrong = 0;
    for (std::uint32_t code = 0; code < 2 * half; ++code) {
      if (code == half) continue;
      wrong += static_cast<double>(decoded(format, code)) != standard_value(code, bits, exponent_bits);
    }
    CHECK(wrong == 0);
    CHECK(std::isnan(decoded(format, half)));
    CHECK(encoded(format, HUGE_VALF) == half);
    CHECK(encoded(format, std::nanf("")) == half);
    CHECK(encoded(format, -0.0F) == 0);
  }
}

TEST_CASE("posits: rounding is that of the unlimited bit string, at and around every limit") {
  for (const auto& [name, bits, exponent_bits] : posits) {
    CAPTURE(name);
    const Format& format = find_format(name);
    std::int64_t wrong = 0;
    const auto check = [&](float weight) {
      wrong += encoded(format, weight) != standard_code(weight, bits, exponent_bits);
      wrong += encoded(format, -weight) != standard_code(-weight, bits, exponent_bits);
    };
    // Posits of one more bit: those of this format, and the limits between them.
    for (std::uint32_t code = 1; code < (1U << static_cast<unsigned>(bits)); ++code) {
      const auto weight = static_cast<float>(standard_value(code, bits + 1, exponent_bits));
      check(weight);
      check(std::nextafter(weight, 0.0F));
      check(std::nextafter(weight, HUGE_VALF));
    }
    for (std::uint32_t pattern = 1; pattern < 0x7f800000U; pattern += 104729)
      check(std::bit_cast<float>(pattern));
    CHECK(wrong == 0);
  }
}

TEST_CASE("formats: a weight out of range has no finite bound of its error, one in range has") {
  const auto bound = [](const char* name, float weight) {
    const Format& format = find_format(name);
    return format.rounding(format.encode(format, {&weight, 1}, 1, 1), weight, 0);
  };
  constexpr double infinity = std::numeric_limits<double>::infinity();
  CHECK(bound("fp8-e4m3", 448) == 16);
  CHECK(bound("fp8-e4m3", 449) == infinity);
  CHECK(bound("fp8-e5m2", -57344) == 4096);
  CHECK(bound("fp8-e5m2", -57345) == infinity);
  CHECK(bound("q2.5", 3.98F) == 0x1p-6);
  CHECK(bound("q2.5", 3.99F) == infinity);
  CHECK(bound("q2.5", -4) == 0x1p-6);
  CHECK(bound("q2.5", -4.02F) == infinity);
  CHECK(bound("posit8-0", 64) == 0);
  CHECK(bound("posit8-0", 65) == infinity);
  CHECK(bound("posit8-0", 0.25F) == 0x1p-7);
  CHECK(bound("posit8-0", 1e-9F) == 0x1p-6);
}
