#pragma once

#include <string>

#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/enclosure.hpp>

namespace temblor {

/// Interval bound propagation with weight intervals (theory, section 3) on any graph whose layers enclose
/// their outputs. A dense last layer is bounded with the difference of rows, W_y - W_j and radius R_y + R_j,
/// not as the difference of two logit intervals. Exact when only the last layer is perturbed, and when only
/// the last two are and each hidden unit reaches the margins of one pair independently of the others (dense
/// chains: always). Refuses l2 and bit sets.
BoundValues interval_bound(const BoundContext& context);

/// Lower limits on the pair margins f^{yj} of the unperturbed network in exact arithmetic, [images x
/// classes], 0 at j = y: below the truth by rounding errors of double alone.
MatrixD exact_margins(const Network& network, const Dataset& data);

/// The interval values of one block of images [count x classes], given the enclosures of all nodes.
MatrixD enclosed_drops(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count);
/// The same for a dense last layer, from the enclosures of the nodes before it.
MatrixD interval_drops(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count);

}  // namespace temblor
