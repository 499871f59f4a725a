#pragma once

#include <cstdint>

/// Bit-level IEEE 754 conversions between float32 and the 16-bit formats: the same on every machine.
namespace temblor::formats {

std::uint32_t to_fp16(float value);
float from_fp16(std::uint32_t code);
std::uint32_t to_bf16(float value);
float from_bf16(std::uint32_t code);

}  // namespace temblor::formats
