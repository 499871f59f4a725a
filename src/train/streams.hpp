#pragma once

#include <cstdint>

namespace temblor {

/// Training's own streams (ASCII "trai"), apart from those of any campaign with the same seed.
constexpr std::uint32_t training_point = 0x74726169;
constexpr std::uint32_t initial_stream = 0;  ///< trial = layer
constexpr std::uint32_t shuffle_stream = 1;  ///< trial = epoch
constexpr std::uint32_t batch_stream = 16;   ///< and further ones, one a batch: trial = epoch

}  // namespace temblor
