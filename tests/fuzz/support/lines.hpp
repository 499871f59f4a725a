#pragma once

#include <cstddef>
#include <cstdint>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace temblor::fuzz {

/// libFuzzer's custom mutator for inputs that are lines of words: besides what the fuzzer does to bytes,
/// lines are repeated, removed and exchanged, and single words are changed or copied over one another.
std::size_t mutate_lines(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);

}  // namespace temblor::fuzz
