#pragma once

#include <span>

#include <temblor/network/network.hpp>

namespace temblor {

/// mu sum_m (norm_{2,1}((W^m)^T) + norm_{1,inf}((W^m)^T)): the l2-norms of all rows and the largest l1-norm
/// of a row, layer by layer (Tsai, Hsu, Yu, Chen, arXiv 2103.02200). For a convolution W^m is its equivalent
/// matrix (theory, section 2): one row an output channel and position, the kernel's taps that lie within the
/// image. Adds a subgradient: 0 for a row of zeros, the lowest row where several have the largest norm.
double norm_penalty(const Network& network, const WeightView& weights, double mu,
                    std::span<Weights* const> gradients);

}  // namespace temblor
