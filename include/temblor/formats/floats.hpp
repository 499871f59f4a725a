#pragma once

#include <cstdint>

/// Bit-level conversions between float32 and the smaller floating formats: the same on every machine. To
/// nearest, ties to even, in one rounding. What is beyond the range becomes infinity; fp8 E4M3, which has
/// none (OCP 8-bit Floating Point Specification, revision 1.0, 2023, section 5), gets NaN: the non-saturating
/// mode of its conversion table, so that an overflow shows.
namespace temblor::formats {

std::uint32_t to_fp16(float value);
float from_fp16(std::uint32_t code);
std::uint32_t to_bf16(float value);
float from_bf16(std::uint32_t code);
std::uint32_t to_fp8_e4m3(float value);
float from_fp8_e4m3(std::uint32_t code);
std::uint32_t to_fp8_e5m2(float value);
float from_fp8_e5m2(std::uint32_t code);

}  // namespace temblor::formats
