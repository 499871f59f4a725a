#pragma once

#include <cstdint>
#include <string>

#include <temblor/bounds/bound.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

struct ExactOptions {
  double gap = 1e-6;            ///< limit and member found differ by at most gap (1 + drop)
  std::int64_t nodes = 100000;  ///< subproblems a pair; 1: no branching
  double seconds = 0;           ///< a pair; 0: no limit. With one, results depend on the machine
  bool all_pairs = false;       ///< otherwise pairs are solved only as far as they can be an image's worst
};

struct ExactWorst {
  BoundValues values;
  SampleDelta worst;  ///< the member found with the lowest margin, for each image
  MatrixD nodes;      ///< [images x classes]: subproblems solved
  MatrixD open;       ///< [images x classes]: 1 where limit and member are further apart than the gap
};

/// The exact worst case (theory, section 4b): the weights are eliminated, and the lowest pair margin over the
/// box is a mixed-integer linear program with one decision for each unstable unit behind the first moving
/// layer. It is solved by branch and bound on these decisions: `value` is an upper limit of the worst drop,
/// rounded outward, `attained` the drop of a member of the set. They meet up to `gap`, unless nodes or
/// seconds run out.
///
/// A moving image adds its values as unknowns, and the first layer's units as decisions; a value that may be
/// of either sign where weights it meets move is one more decision.
///
/// Scope: chains of dense layers with ReLU between them; linf, relative and box sets, with a box around the
/// image or without; any layers, with and without biases; images of any sign. Of other networks the dense
/// layers with ReLU that they end with, where no layer before and no image moves (tail.hpp).
/// `start`: members to begin with, one an image; they never change the limits, only how soon they are met.
ExactWorst exact_worst(const Network& network, const Dataset& data, const ThreatSet& set, bool arithmetic,
                       const ExactOptions& options, const SampleDelta* start = nullptr);
/// Makes members of a box worse, image by image: the signs of the last two layers are set as is best (exact
/// where no other layer moves), then one unit at a time goes to another end of its range while that lowers
/// the pair margin, for the `rivals` classes that come closest, at most `sweeps` times over all units. Scope
/// as above.
void polish_worst(const Network& network, const Dataset& data, const ThreatSet& set, int rivals, int sweeps,
                  SampleDelta& delta);

/// `params` as exact_params() has them.
/// Why `exact` does not apply to this network and set; "" when it does.
std::string refuses_exact(const Network& network, const ThreatSet& set);
ExactOptions exact_options(const Params& params);
std::vector<ParamSpec> exact_params();
BoundValues exact_bound(const BoundContext& context);

}  // namespace temblor
