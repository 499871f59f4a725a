#pragma once

#include <temblor/bounds/exact.hpp>

namespace temblor::exact {

/// Limits of 0 and the base network as every image's member, but for the logits, which have their best signs.
ExactWorst empty_worst(const Network& network, const Dataset& data, const ThreatSet& set);
/// The worst case of a network of one layer: intervals are exact there.
ExactWorst one_layer(const Network& network, const Dataset& data, const ThreatSet& set, bool arithmetic);

}  // namespace temblor::exact
