#pragma once

#include <cstdint>
#include <string>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor::testing {

/// A dense relu network "6-5-4-3" with standard normal parameters, for inputs of the first number's size.
Network random_network(const std::string& arch, std::uint64_t seed, bool biases);
/// `count` images of uniform values that fit `network`, labels in turn.
Dataset random_dataset(const Network& network, Index count, std::uint64_t seed);
/// Both weight and bias bytes are equal.
bool same_bits(const Weights& a, const Weights& b);

}  // namespace temblor::testing
