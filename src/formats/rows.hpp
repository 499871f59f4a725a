#pragma once

#include <temblor/formats/format.hpp>

/// Makers of rows of the format table.
namespace temblor::formats {

/// Scaled integers: intB, two's complement, or uintB (affine), with -affine and -channel in their names.
Format integer(const Quantiser& quantiser, bool unsigned_codes);

}  // namespace temblor::formats
