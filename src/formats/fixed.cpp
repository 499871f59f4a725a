#include "rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::formats {
namespace {

/// Codes run from -half to half - 1.
double half_range(const Format& format) {
  return std::ldexp(1.0, format.bits - 1);
}

Encoded encode(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols) {
  ensure(weights.size() == rows * cols, "weights fill their rows");
  const double half = half_range(format);
  const std::uint32_t mask = (1U << static_cast<unsigned>(format.bits)) - 1U;
  Encoded encoded{&format, rows, cols, {}, {}, {}};
  encoded.codes.reserve(weights.size());
  for (const float weight : weights) {
    ensure(std::isfinite(weight), "a weight in fixed point is finite");
    const double nearest = std::nearbyint(std::ldexp(static_cast<double>(weight), format.fraction));
    const auto code = static_cast<std::int32_t>(std::clamp(nearest, -half, half - 1));
    encoded.codes.push_back(static_cast<std::uint32_t>(code) & mask);
  }
  return encoded;
}

float decode(const Encoded& encoded, std::uint32_t code, std::size_t /*row*/) {
  const Format& format = *encoded.format;
  const std::uint32_t sign = 1U << static_cast<unsigned>(format.bits - 1);
  const auto number = static_cast<std::int32_t>(((code & (2U * sign - 1U)) ^ sign) - sign);
  return std::ldexp(static_cast<float>(number), -format.fraction);
}

double rounding(const Encoded& encoded, float weight, std::size_t /*row*/) {
  const Format& format = *encoded.format;
  const double steps = std::ldexp(static_cast<double>(weight), format.fraction);
  const double half = half_range(format);
  if (!(steps >= -half - 0.5 && steps <= half - 0.5)) return std::numeric_limits<double>::infinity();
  return std::ldexp(0.5, -format.fraction);
}

}  // namespace

Format fixed_point(int integer_bits, int fraction_bits) {
  Format format;
  format.name = "q" + std::to_string(integer_bits) + "." + std::to_string(fraction_bits);
  format.help = "fixed point, two's complement: a sign, " + std::to_string(integer_bits) + " integer and " +
                std::to_string(fraction_bits) + " fraction bits; so every qM.N, M + N = 1 to 23";
  format.bits = 1 + integer_bits + fraction_bits;
  format.fields = {{"sign", format.bits - 1, 1}};
  if (integer_bits > 0) format.fields.push_back({"integer", fraction_bits, integer_bits});
  if (fraction_bits > 0) format.fields.push_back({"fraction", 0, fraction_bits});
  format.scaled = false;
  format.error_bound = "2^-" + std::to_string(fraction_bits + 1);
  format.range = to_text(-std::ldexp(1.0, integer_bits)) + " to " +
                 to_text(std::ldexp(1.0, integer_bits) - std::ldexp(1.0, -fraction_bits));
  format.encode = encode;
  format.decode = decode;
  format.rounding = rounding;
  format.order = CodeOrder::twos_complement;
  format.fraction = fraction_bits;
  return format;
}

}  // namespace temblor::formats
