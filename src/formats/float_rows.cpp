#include "rows.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/formats/floats.hpp>

namespace temblor::formats {
namespace {

template <std::uint32_t (*convert)(float)>
Encoded encode(const Format& format, std::span<const float> weights, std::size_t rows, std::size_t cols) {
  ensure(weights.size() == rows * cols, "weights fill their rows");
  Encoded encoded{&format, rows, cols, {}, {}, {}};
  encoded.codes.reserve(weights.size());
  for (const float weight : weights) encoded.codes.push_back(convert(weight));
  return encoded;
}

template <float (*convert)(std::uint32_t)>
float decode(const Encoded& /*encoded*/, std::uint32_t code, std::size_t /*row*/) {
  return convert(code);
}

std::uint32_t to_fp32(float value) {
  return std::bit_cast<std::uint32_t>(value);
}
float from_fp32(std::uint32_t code) {
  return std::bit_cast<float>(code);
}

double exact(const Encoded& /*encoded*/, float /*weight*/, std::size_t /*row*/) {
  return 0;
}

/// Half a unit in the last place: of a mantissa of so many bits, and never below exponent `least`.
double half_unit(float weight, int mantissa_bits, int least, double largest) {
  const double magnitude = std::abs(static_cast<double>(weight));
  if (!(magnitude <= largest)) return std::numeric_limits<double>::infinity();
  const int exponent = magnitude == 0 ? least : std::max(std::ilogb(magnitude), least);
  return std::ldexp(0.5, exponent - mantissa_bits);
}

double rounding_fp16(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return half_unit(weight, 10, -14, 65504);
}
double rounding_bf16(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return half_unit(weight, 7, -126, 0x1.fep127);
}
double rounding_e4m3(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return half_unit(weight, 3, -6, 448);
}
double rounding_e5m2(const Encoded& /*encoded*/, float weight, std::size_t /*row*/) {
  return half_unit(weight, 2, -14, 57344);
}

std::vector<BitField> float_fields(int exponent_bits, int mantissa_bits) {
  return {{"sign", exponent_bits + mantissa_bits, 1},
          {"exponent", mantissa_bits, exponent_bits},
          {"mantissa", 0, mantissa_bits}};
}

}  // namespace

std::vector<Format> float_rows() {
  return {
      {"fp32", "IEEE 754 binary32: the weights as trained", 32, float_fields(8, 23), false, "0 (exact)",
       "-3.4028235e38 to 3.4028235e38", encode<to_fp32>, decode<from_fp32>, exact},
      {"fp16", "IEEE 754 binary16", 16, float_fields(5, 10), false,
       "max(2^-11 of the power of two below |w|, 2^-25)", "-65504 to 65504", encode<to_fp16>,
       decode<from_fp16>, rounding_fp16},
      {"bf16", "bfloat16: the upper half of binary32, rounded", 16, float_fields(8, 7), false,
       "max(2^-8 of the power of two below |w|, 2^-134)", "-3.39e38 to 3.39e38", encode<to_bf16>,
       decode<from_bf16>, rounding_bf16},
      {"fp8-e4m3", "OCP 8-bit float, 4 exponent bits: no infinity, one NaN of each sign", 8,
       float_fields(4, 3), false, "max(2^-4 of the power of two below |w|, 2^-10)", "-448 to 448",
       encode<to_fp8_e4m3>, decode<from_fp8_e4m3>, rounding_e4m3},
      {"fp8-e5m2", "OCP 8-bit float, 5 exponent bits: the upper half of binary16, rounded", 8,
       float_fields(5, 2), false, "max(2^-3 of the power of two below |w|, 2^-17)", "-57344 to 57344",
       encode<to_fp8_e5m2>, decode<from_fp8_e5m2>, rounding_e5m2},
  };
}

}  // namespace temblor::formats
