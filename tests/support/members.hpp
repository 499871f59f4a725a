#pragma once

#include <vector>

#include <support/graphs.hpp>

namespace temblor::testing {

/// The derivative of f^{yj} by every parameter, at `at` [1 x values].
std::vector<Weights> margin_gradient(const Network& network, const Matrix& at, Index y, Index j);

/// The member of a set that lowers gradient . change most: boxes in a corner, balls along the gradient, the
/// budget where it pays most, all of it at once. In float32, every change rounded toward the base weight, so
/// that it belongs to the set exactly. A set of flips needs the network of its decoded codes.
Network member_along(const Network& network, const ThreatSet& set, const std::vector<Weights>& gradient);

/// Drops of f^{yj} that members of any set have, as reached_drops() has them for boxes: along random
/// gradients, and along those of a pair at the member before, `steps` times.
MatrixD reached_by_members(const Network& network, const Dataset& data, const ThreatSet& set, int starts,
                           int steps, Stream& stream);

}  // namespace temblor::testing
