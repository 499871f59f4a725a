#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {

/// Nodes whose golden outputs are worth `memory` bytes for that many images; always the last. Never nodes
/// that only reshape, nor outputs (but those of dense layers) that one element-wise layer alone reads.
/// First those that save most of the arithmetic that a fault of a weight drawn uniformly needs, by byte; then
/// the deepest.
std::vector<bool> nodes_to_keep(const Network& network, Index images, std::int64_t memory);

/// Runs the network without faults and keeps what fits into `memory` bytes.
Golden run_golden(const Network& network, const Dataset& data, std::int64_t memory);

/// Golden outputs of a node where they are kept, directly or as the values that it reshapes; otherwise null.
const Matrix* kept_outputs(const Network& network, const Dataset& data, const Golden& golden, int node);

/// Golden outputs of a node for all images: the kept ones, which `golden` and `data` own, or computed again.
std::shared_ptr<const Matrix> golden_outputs(const Network& network, const Dataset& data,
                                             const Golden& golden, int node);

/// Golden ranges of every node that is an activation function or holds values as codes, where they are
/// finite.
std::vector<OutputRange> golden_ranges(const Network& network, const Dataset& data, const Golden& golden);

}  // namespace temblor
