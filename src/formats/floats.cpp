#include <algorithm>
#include <bit>
#include <cmath>

#include <temblor/formats/floats.hpp>

namespace temblor::formats {
namespace {

constexpr std::uint32_t fp32_infinity = 0x7f800000U;
constexpr std::uint32_t fp32_mantissa = 0x007fffffU;

/// value / 2^shift to nearest, ties to even; shift in 1..31.
std::uint32_t shift_even(std::uint32_t value, unsigned shift) {
  const std::uint32_t half = (1U << (shift - 1U)) - 1U;
  return (value + half + ((value >> shift) & 1U)) >> shift;
}

/// The top bits of a NaN's mantissa; where they are all zero the quiet bit keeps it a NaN.
std::uint32_t payload(std::uint32_t mantissa, unsigned dropped) {
  const std::uint32_t kept = mantissa >> dropped;
  return kept != 0 ? kept : 1U << (22U - dropped);
}

/// Magnitude code of a number that is not NaN, in a format of so many exponent and mantissa bits, IEEE 754
/// bias and gradual underflow; `overflow` and what is above it become `overflow`.
template <unsigned exponent_bits, unsigned mantissa_bits>
std::uint32_t small_code(std::uint32_t magnitude, std::uint32_t overflow) {
  constexpr unsigned bias = (1U << (exponent_bits - 1U)) - 1U;
  constexpr unsigned dropped = 23U - mantissa_bits;
  constexpr unsigned least = 128U - bias;  // float32 exponent field of the smallest normal number
  const std::uint32_t exponent = magnitude >> 23U;
  // Rounding may carry into the exponent, which is then the right code.
  if (exponent >= least) return std::min(shift_even(magnitude - ((127U - bias) << 23U), dropped), overflow);
  if (exponent + mantissa_bits + 1U < least) return 0;  // below half of the smallest subnormal
  return shift_even((magnitude & fp32_mantissa) | 0x00800000U, least + dropped - exponent);
}

/// Value of a finite magnitude code.
template <unsigned exponent_bits, unsigned mantissa_bits>
float small_value(std::uint32_t code) {
  constexpr int bias = (1 << (exponent_bits - 1U)) - 1;
  const std::uint32_t mantissa = code & ((1U << mantissa_bits) - 1U);
  const auto exponent = static_cast<int>(code >> mantissa_bits);
  const auto digits = static_cast<float>(exponent == 0 ? mantissa : mantissa | (1U << mantissa_bits));
  return std::ldexp(digits, std::max(exponent, 1) - bias - static_cast<int>(mantissa_bits));
}

float with_sign(std::uint32_t sign, std::uint32_t magnitude) {
  return std::bit_cast<float>(sign | magnitude);
}

}  // namespace

std::uint32_t to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > fp32_infinity) return sign | 0x7c00U | payload(magnitude & fp32_mantissa, 13);
  return sign | small_code<5, 10>(magnitude, 0x7c00U);
}

float from_fp16(std::uint32_t code) {
  const std::uint32_t sign = (code & 0x8000U) << 16U;
  const std::uint32_t magnitude = code & 0x7fffU;
  if (magnitude >= 0x7c00U) return with_sign(sign, fp32_infinity | ((magnitude & 0x3ffU) << 13U));
  return with_sign(sign, std::bit_cast<std::uint32_t>(small_value<5, 10>(magnitude)));
}

std::uint32_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > fp32_infinity) return sign | 0x7f80U | payload(magnitude & fp32_mantissa, 16);
  return sign | shift_even(magnitude, 16);
}

float from_bf16(std::uint32_t code) {
  return std::bit_cast<float>(code << 16U);
}

std::uint32_t to_fp8_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 24U) & 0x80U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude >= fp32_infinity) return sign | 0x7fU;
  return sign | small_code<4, 3>(magnitude, 0x7fU);
}

float from_fp8_e4m3(std::uint32_t code) {
  const std::uint32_t sign = (code & 0x80U) << 24U;
  const std::uint32_t magnitude = code & 0x7fU;
  if (magnitude == 0x7fU) return with_sign(sign, 0x7fc00000U);
  return with_sign(sign, std::bit_cast<std::uint32_t>(small_value<4, 3>(magnitude)));
}

std::uint32_t to_fp8_e5m2(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 24U) & 0x80U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > fp32_infinity) return sign | 0x7cU | payload(magnitude & fp32_mantissa, 21);
  return sign | small_code<5, 2>(magnitude, 0x7cU);
}

float from_fp8_e5m2(std::uint32_t code) {
  return from_fp16((code & 0xffU) << 8U);
}

}  // namespace temblor::formats
