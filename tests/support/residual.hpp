#pragma once

#include <cstdint>
#include <string>

#include <temblor/network/network.hpp>

namespace temblor::testing {

/// A small residual network with random parameters: 60 values seen as 2x6x5, four classes. Weighted layers: 0
/// a convolution with padding, 1 a scale, 2 a convolution inside the residual block, 3 a strided one in two
/// groups without biases, 4 dense behind global pooling.
Network residual_network(std::uint64_t seed);
/// The same as a file; its path.
std::string residual_file(const std::string& directory, std::uint64_t seed);
/// A dataset of `images` that fits it, made up in memory.
std::string residual_data(int images);

}  // namespace temblor::testing
