#pragma once

#include <functional>

#include <temblor/network/types.hpp>

namespace temblor::testing {

/// Largest error of `gradient` against the central difference of `loss` by each of the n floats at `values`
/// (which it moves and restores), relative to 1 + abs(slope). `step` is a power of two, so that moving a
/// float is exact for small values.
double gradient_error(const std::function<double()>& loss, float* values, const float* gradient, Index n,
                      float step);

/// The same for a loss with kinks: how far `gradient` is outside the range between the slopes to the left and
/// to the right. `bends` counts the values where the two differ by more than 1 %, relative to 1 + abs(slope):
/// few, or the test says little.
double subgradient_error(const std::function<double()>& loss, float* values, const float* gradient, Index n,
                         float step, Index& bends);

}  // namespace temblor::testing
