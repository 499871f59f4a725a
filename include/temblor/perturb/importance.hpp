#pragma once

#include <cstdint>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// A score of every weight, one vector [outputs x inputs] a weighted layer; larger is more important.
using Importance = std::vector<std::vector<double>>;

/// abs of the gradient of the images' mean cross-entropy by each weight.
Importance gradient_importance(const Network& network, const Dataset& data);
/// abs of each weight.
Importance magnitude_importance(const Network& network);

/// The `count` weights of the highest scores (NaN lowest; ties: the lower layer, then index), as ascending
/// indices a layer. count <= number of weights.
std::vector<std::vector<std::uint32_t>> most_important(const Importance& scores, std::uint64_t count);

}  // namespace temblor
