#pragma once

#include <string>
#include <vector>

#include <temblor/formats/format.hpp>

namespace temblor::cli {

/// Chosen bits of a code: all, field names, bits and ranges of bits A-B, separated by commas; ascending, each
/// once. Usage error naming `what` otherwise.
std::vector<int> parse_bits(const std::string& text, const std::string& what, const Format& format);

}  // namespace temblor::cli
