#include "rows.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor::formats {
namespace {

/// Value of a positive code of `bits` bits: a run of equal bits behind the sign (the regime), its end, the
/// exponent bits and the fraction, each as far as there is room; what is cut off counts as 0. Gustafson and
/// Yonemoto, Beating Floating Point at its Own Game, Supercomputing Frontiers and Innovations 4(2), 2017.
double positive_value(std::uint32_t code, int bits, int exponent_bits) {
  const std::uint32_t left = code << static_cast<unsigned>(33 - bits);  // regime first, the sign dropped
  const bool ones = (left >> 31U) != 0;
  const int run = std::min(ones ? std::countl_one(left) : std::countl_zero(left), bits - 1);
  const int regime = ones ? run - 1 : -run;
  const std::uint64_t rest = (std::uint64_t{left} << static_cast<unsigned>(run + 1)) & 0xffffffffU;
  const auto exponent = static_cast<int>((rest << static_cast<unsigned>(exponent_bits)) >> 32U);
  const std::uint64_t fraction = (rest << static_cast<unsigned>(exponent_bits)) & 0xffffffffU;
  return std::ldexp(1 + std::ldexp(static_cast<double>(fraction), -32),
                    regime * (1 << exponent_bits) + exponent);
}

/// Rounding goes from one posit to the next at the posit of one more bit between them (Standard for Posit
/// Arithmetic, 2022), except that nothing but 0 becomes 0 and nothing finite becomes NaR.
std::shared_ptr<const CodeTable> make_table(int bits, int exponent_bits) {
  CodeTable table;
  const std::uint32_t half = 1U << static_cast<unsigned>(bits - 1);
  table.values.resize(2 * std::size_t{half});
  for (std::uint32_t code = 1; code < half; ++code) {
    const auto value = static_cast<float>(positive_value(code, bits, exponent_bits));
    table.values[code] = value;
    table.values[2 * half - code] = -value;
  }
  table.values[half] = std::numeric_limits<float>::quiet_NaN();  // NaR
  table.limits.push_back(0);
  for (std::uint32_t code = 1; code + 1 < half; ++code) {
    table.limits.push_back(positive_value(2 * code + 1, bits + 1, exponent_bits));
  }
  return std::make_shared<const CodeTable>(std::move(table));
}

/// Number of the positive code that a magnitude above 0 is rounded to; ties to even.
std::uint32_t magnitude_code(const CodeTable& table, double magnitude) {
  const auto& limits = table.limits;
  const auto above = std::upper_bound(limits.begin(), limits.end(), magnitude);
  const auto code = static_cast<std::uint32_t>(above - limits.begin());
  const bool tie = code > 1 && limits[code - 1] == magnitude;
  return tie && code % 2 == 1 ? code - 1 : code;
}

Encoded encode(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols) {
  ensure(weights.size() == rows * cols, "weights fill their rows");
  const std::uint32_t mask = (1U << static_cast<unsigned>(format.bits)) - 1U;
  Encoded encoded{&format, rows, cols, {}, {}, {}};
  encoded.codes.reserve(weights.size());
  for (const float weight : weights) {
    std::uint32_t code = 0;
    if (!std::isfinite(weight)) {
      code = mask / 2 + 1;  // NaR
    } else if (weight != 0) {
      code = magnitude_code(*format.table, std::abs(static_cast<double>(weight)));
      if (weight < 0) code = (~code + 1U) & mask;
    }
    encoded.codes.push_back(code);
  }
  return encoded;
}

float decode(const Encoded& encoded, std::uint32_t code, std::size_t /*row*/) {
  const auto& values = encoded.format->table->values;
  return values[code & (values.size() - 1)];
}

/// The larger part of the gap around the weight that rounding can cross.
double rounding(const Encoded& encoded, float weight, std::size_t /*row*/) {
  const auto& table = *encoded.format->table;
  const double magnitude = std::abs(static_cast<double>(weight));
  if (magnitude == 0) return 0;
  const auto values = std::span(table.values).first(table.limits.size() + 1);
  const auto above = std::upper_bound(values.begin(), values.end(), magnitude);
  const auto lower = static_cast<std::size_t>(above - values.begin()) - 1;
  if (above == values.end()) {
    return magnitude == static_cast<double>(values.back()) ? 0 : std::numeric_limits<double>::infinity();
  }
  const double limit = table.limits[lower];
  return std::max(limit - static_cast<double>(values[lower]), static_cast<double>(*above) - limit);
}

}  // namespace

Format posit(int bits, int exponent_bits) {
  Format format;
  const std::string most = std::to_string((bits - 2) << exponent_bits);
  format.name = "posit" + std::to_string(bits) + "-" + std::to_string(exponent_bits);
  format.help =
      "posit<" + std::to_string(bits) + "," + std::to_string(exponent_bits) +
      ">: regime, exponent and fraction share the bits behind the sign; so every positN-E, N = 3 to "
      "16, E = 0 to 3";
  format.bits = bits;
  format.fields = {{"sign", bits - 1, 1}, {"body", 0, bits - 1}};
  format.scaled = false;
  format.error_bound = "the part of the gap between the neighbouring posits up to its rounding limit";
  format.range = "-2^" + most + " to 2^" + most + ", smallest 2^-" + most;
  format.encode = encode;
  format.decode = decode;
  format.rounding = rounding;
  format.order = CodeOrder::twos_complement;
  format.table = make_table(bits, exponent_bits);
  return format;
}

}  // namespace temblor::formats
