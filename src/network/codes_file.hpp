#pragma once

#include <string>

#include <temblor/formats/format.hpp>
#include <temblor/hdf5/file.hpp>

/// Stored codes of one layer in the network file.
namespace temblor {

/// Bad-input error naming object and file.
[[noreturn]] void refuse(const hdf5::Group& file, const std::string& object, const std::string& why,
                         const std::string& cure);

/// Reads format, codes, scale and zero_point of a layer's group; bad-input error for anything missing,
/// misshapen or out of range.
Encoded read_codes(const hdf5::Group& group);
void write_codes(const hdf5::Group& group, const Encoded& encoded);

}  // namespace temblor
