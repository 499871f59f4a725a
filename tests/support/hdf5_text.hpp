#pragma once

#include <string>
#include <string_view>

namespace temblor::testing {

/// Writes the HDF5 file that `text` describes: whatever the text, the library can read the file, so that the
/// readers on top of it are fuzzed and not the library, which does not stand damaged files. One object a
/// line, words parted by spaces; what cannot be made is left out:
///
///   latest                                (as the first line) newest file format; else the oldest
///   group PATH
///   set PATH TYPE DIMS LAYOUT VALUES...   a dataset
///   attribute PATH NAME TYPE DIMS VALUES...
///   soft PATH TARGET                      and hard: links
///   outer PATH FILE TARGET                external link
///
/// TYPE: f16 f32 f64 i8 i16 i32 i64 u8 u16 u32 u64, with "be" behind for big-endian; text (variable length,
/// UTF-8), ascii, textN (N bytes), spaceN (padded by spaces), enum, opaque, compound, array, vlen, reference.
/// DIMS: scalar, null, or sizes as 2x3. LAYOUT: plain, compact, external, virtual, late (space is never
/// allocated), chunked, deflate, checked (Fletcher), the last three also with chunk sizes, as deflate:4x4.
/// VALUES fill the object in turn; without any nothing is written. In words, %XX is a byte.
void write_hdf5(std::string_view text, const std::string& path);

}  // namespace temblor::testing
