#pragma once

#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/exact.hpp>

namespace temblor::exact {

/// Limits of 0 and the base network as every image's member, but for the logits, which have their best signs.
ExactWorst empty_worst(const Network& network, const Dataset& data, const ThreatSet& set);
/// The worst case of a network whose last layer alone may change, or of one layer: intervals, those of
/// `whole`, are exact there. The rest is that layer alone with what enters it: images, or `entry`.
ExactWorst one_layer(const BoundContext& whole, const Network& network, const Dataset& data,
                     const ThreatSet& set, const EntryBox* entry);

}  // namespace temblor::exact
