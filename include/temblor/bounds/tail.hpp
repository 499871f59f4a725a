#pragma once

#include <string>

#include <temblor/bounds/enclosure.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

/// The dense layers with ReLU between them that a network ends with, from the first layer on that may change:
/// a chain of its own. Whatever comes before does not change, so what enters the chain is known but for
/// rounding. For sets that are boxes of weights.
class DenseTail {
 public:
  /// `network` and `set` as refuses_dense_tail() lets pass.
  DenseTail(const Network& network, const ThreatSet& set);

  const Network& network() const { return network_; }
  const ThreatSet& set() const { return set_; }
  int before() const { return before_; }  ///< weighted layers that come before

  /// The same labels; in place of images the middles of what they become.
  Dataset data(const Dataset& data, const EntryBox& entry) const;
  /// What enters the chain; `float32`: also when the layers before run in float32.
  EntryBox entry(const Dataset& data, bool float32) const;

  /// Perturbations of the tail's layers and of the whole network's, one in terms of the other.
  SampleDelta of_tail(const SampleDelta& whole) const;
  SampleDelta of_whole(const SampleDelta& tail) const;

 private:
  const Network* whole_;
  const ThreatSet* whole_set_;
  int before_;
  int entry_;  ///< node whose outputs enter the chain; -1: the image
  Network network_;
  ThreatSet set_;
};

/// Why what needs a chain of dense layers with ReLU does not apply: the network is none, nor does it end in
/// one that has all the layers that may change, or the image moves in front of it. "" when it applies.
std::string refuses_dense_tail(const Network& network, const ThreatSet& set);

}  // namespace temblor
