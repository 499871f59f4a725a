#include "rows.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/formats/floats.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <std::uint32_t (*convert)(float)>
Encoded encode_float(const Format& format, std::span<const float> weights, std::size_t rows,
                     std::size_t cols) {
  ensure(weights.size() == rows * cols, "weights fill their rows");
  Encoded encoded{&format, rows, cols, {}, {}, {}};
  encoded.codes.reserve(weights.size());
  for (const float weight : weights) encoded.codes.push_back(convert(weight));
  return encoded;
}

template <float (*convert)(std::uint32_t)>
float decode_float(const Encoded& /*encoded*/, std::uint32_t code, std::size_t /*row*/) {
  return convert(code);
}

std::uint32_t to_fp32(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
float from_fp32(std::uint32_t code) {
  return std::bit_cast<float>(code);
}

/// Half a unit in the last place: |w| 2^-digits, or half the smallest subnormal.
double float_rounding(float weight, int digits, int subnormal, double largest) {
  const double magnitude = std::abs(static_cast<double>(weight));
  return magnitude > largest ? infinity
                             : std::max(std::ldexp(magnitude, -digits), std::ldexp(0.5, subnormal));
}

constexpr double largest_fp16 = 65504;
constexpr double largest_bf16 = 0x1.fep127;

double rounding_fp32(const Encoded& /*encoded*/, float /*weight*/, std::size_t /*row*/) {
  return 0;
}
double rounding_fp16(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return float_rounding(weight, 11, -24, largest_fp16);
}
double rounding_bf16(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return float_rounding(weight, 8, -133, largest_bf16);
}

void check_complete(const Format& format) {
  const std::string entry = "format '" + format.name + "'";
  ensure(!format.name.empty() && !format.help.empty() && !format.error_bound.empty(),
         entry + " has all its words");
  ensure(format.bits >= 1 && format.bits <= 32, entry + " has 1 to 32 bits");
  ensure(format.encode != nullptr && format.decode != nullptr && format.rounding != nullptr &&
             format.largest > 0,
         entry + " has all its functions");
  std::uint64_t covered = 0;
  for (const auto& field : format.fields) {
    ensure(!field.name.empty() && field.low >= 0 && field.bits > 0 && field.low + field.bits <= format.bits,
           entry + " has fields within its bits");
    const std::uint64_t mask = ((std::uint64_t{1} << field.bits) - 1) << field.low;
    ensure((covered & mask) == 0, entry + " has fields that do not overlap");
    covered |= mask;
  }
  ensure(covered == (std::uint64_t{1} << format.bits) - 1, entry + " has fields that cover every bit");
}

std::vector<Format> make_table() {
  std::vector<Format> table = {
      {"fp32",
       "IEEE 754 binary32: the weights as trained",
       32,
       {{"sign", 31, 1}, {"exponent", 23, 8}, {"mantissa", 0, 23}},
       false,
       "0 (exact)",
       infinity,
       encode_float<to_fp32>,
       decode_float<from_fp32>,
       rounding_fp32},
      {"fp16",
       "IEEE 754 binary16: largest value 65504",
       16,
       {{"sign", 15, 1}, {"exponent", 10, 5}, {"mantissa", 0, 10}},
       false,
       "max(|w| 2^-11, 2^-25) up to 65504",
       largest_fp16,
       encode_float<formats::to_fp16>,
       decode_float<formats::from_fp16>,
       rounding_fp16},
      {"bf16",
       "bfloat16: the upper half of binary32, rounded",
       16,
       {{"sign", 15, 1}, {"exponent", 7, 8}, {"mantissa", 0, 7}},
       false,
       "max(|w| 2^-8, 2^-134) up to 3.39e38",
       largest_bf16,
       encode_float<formats::to_bf16>,
       decode_float<formats::from_bf16>,
       rounding_bf16},
  };
  for (const int bits : {8, 6, 4, 2}) {
    for (const bool affine : {false, true}) {
      for (const bool per_channel : {false, true}) {
        table.push_back(formats::integer({bits, affine, per_channel}, false));
      }
    }
  }
  for (const bool per_channel : {false, true}) {
    table.push_back(formats::integer({8, true, per_channel}, true));
  }
  std::set<std::string> names;
  for (const auto& format : table) {
    check_complete(format);
    ensure(names.insert(format.name).second, "format '" + format.name + "' is listed once");
  }
  return table;
}

}  // namespace

const std::vector<Format>& format_table() {
  static const std::vector<Format> table = make_table();
  return table;
}

const Format& find_format(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& format : format_table()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  unknown_name("format", name, names);
}

std::string field_of(const Format& format, int bit) {
  for (const auto& field : format.fields) {
    if (bit >= field.low && bit < field.low + field.bits) return field.name;
  }
  internal_error("format '" + format.name + "' has no bit " + std::to_string(bit));
}

}  // namespace temblor
