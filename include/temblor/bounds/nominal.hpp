#pragma once

#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// Encloses the outputs of the first `nodes` nodes of the network itself, in real arithmetic, on a block of
/// images: [images x units] each. Layer by layer in double, where what is not known stays below 2^-26 of each
/// node's largest value. In deep networks it does not: an enclosure grows by the row sums of the weights'
/// magnitudes from layer to layer, which no rounding error of a run ever does. Then the whole block runs in
/// double-double (DoubleDoubleLayer), whose error grows likewise, from 2^-104 on. Which of the two depends on
/// network and block alone.
std::vector<Interval> nominal_outputs(const Network& network, const Interval& images, std::size_t nodes);

}  // namespace temblor
