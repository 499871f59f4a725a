#include <bit>

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

}  // namespace

std::uint32_t to_fp16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16U) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > fp32_infinity) return sign | 0x7c00U | payload(magnitude & fp32_mantissa, 13);
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;  // 65520 and more is nearer to 2^16 than to 65504
  const std::uint32_t exponent = magnitude >> 23U;
  // Rounding may carry into the exponent, which is then the right code.
  if (exponent >= 113) return sign | shift_even(magnitude - (112U << 23U), 13);
  if (exponent < 102) return sign;  // below half of the smallest subnormal, 2^-25
  return sign | shift_even((magnitude & fp32_mantissa) | 0x00800000U, 126U - exponent);
}

float from_fp16(std::uint32_t code) {
  const std::uint32_t sign = (code & 0x8000U) << 16U;
  const std::uint32_t exponent = (code >> 10U) & 0x1fU;
  const std::uint32_t mantissa = code & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | fp32_infinity | (mantissa << 13U));
  if (exponent > 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
  if (mantissa == 0) return std::bit_cast<float>(sign);
  const auto lead = static_cast<unsigned>(std::bit_width(mantissa)) - 1U;  // subnormal: mantissa * 2^-24
  return std::bit_cast<float>(sign | ((lead + 103U) << 23U) | ((mantissa << (23U - lead)) & fp32_mantissa));
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

}  // namespace temblor::formats
