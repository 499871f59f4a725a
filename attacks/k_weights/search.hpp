#pragma once

#include <cstdint>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor::few {

/// How the k weights are looked for.
struct Options {
  std::int64_t tries = 8;    ///< per image: candidates whose margin is computed, for each weight chosen
  std::int64_t targets = 3;  ///< per image: classes attacked, by clean logit
  std::int64_t steps = 10;   ///< universal: gradients while the set grows from nothing to k
  std::int64_t sweeps = 2;   ///< rounds in which chosen weights are exchanged
};

/// For each image the k weights, each at an end of its interval, that lower its margin most, by greedy choice
/// and exchange. A candidate is ranked by the change of its unit's output (activation included, so that units
/// that are off count for what switching them on would do) times the margin's gradient there; the best
/// `tries` are evaluated. For each of the `targets` classes with the largest clean logits in turn; kept is
/// the lowest margin to any class. Networks: chains (refuses_chain).
SampleDelta per_sample(const Network& network, const Dataset& data, const ThreatSet& set,
                       const Options& options);

/// The same for any network, and for sets of flips as well: candidates are ranked by the gradient of the
/// margin alone, the best `tries` of all chosen layers are evaluated. A code is flipped in one bit at most.
SampleDelta per_sample_graph(const Network& network, const Dataset& data, const ThreatSet& set,
                             const Options& options);

/// One choice of k weights for the whole set: those with the largest gradients of the mean cross-entropy, in
/// equal shares after each gradient, then `sweeps` rounds that choose all k anew where the gradient is now
/// (iterative hard thresholding, Blumensath and Davies, 2009). Kept is the highest loss. Any network.
SparseDelta universal(const Network& network, const Dataset& data, const ThreatSet& set,
                      const Options& options);

}  // namespace temblor::few
