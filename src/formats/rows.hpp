#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include <temblor/formats/format.hpp>

/// Makers of rows of the format table.
namespace temblor::formats {

/// fp32, fp16, bf16, fp8-e4m3, fp8-e5m2.
std::vector<Format> float_rows();

/// Scaled integers: intB, two's complement, or uintB (affine), with -affine and -channel in their names.
Format integer(const Quantiser& quantiser, bool unsigned_codes);

/// Two's complement fixed point qM.N: a sign, M integer bits and N fraction bits; code / 2^N.
Format fixed_point(int integer_bits, int fraction_bits);

/// positN-E: posits of N bits with at most E exponent bits.
Format posit(int bits, int exponent_bits);

/// A format that is no row of the table but has a name of its families; usage error where the name is of a
/// family but its numbers are out of range.
std::optional<Format> of_family(std::string_view name);

}  // namespace temblor::formats
