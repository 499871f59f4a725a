#pragma once

#include <string>

#include <temblor/hdf5/file.hpp>

namespace temblor::hdf5 {

/// SHA-256 over everything in the file that is a result: names, kinds, dimensions and values of all groups,
/// datasets and attributes outside /provenance and /timing, in alphabetical order. Equal for equal contents,
/// however laid out (chunked, compressed, contiguous). The bookkeeping attributes of dimension scales hold
/// addresses and are left out. Bad-input error for values that are neither numbers nor text.
std::string content_digest(const File& file);

}  // namespace temblor::hdf5
