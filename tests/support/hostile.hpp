#pragma once

#include <string>

#include <temblor/random/stream.hpp>

namespace temblor::testing {

/// A spoilt copy: a few bytes changed, cut short, a stretch removed, repeated or put in, or set to 0 or 255.
std::string spoil(std::string bytes, Stream& stream);

}  // namespace temblor::testing
