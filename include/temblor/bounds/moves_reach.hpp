#pragma once

#include <temblor/bounds/moves.hpp>

namespace temblor {

/// Upper limits on how far the l2 balls move each output of a weighted node (dense, conv2d, scale), [images x
/// outputs], for magnitudes abs(z) <= `magnitude` of its inputs: (l2 + row) ||z||_2, z what the output reads,
/// with a 1 where biases move. Each output for itself.
MatrixD ball_reach(const Network& network, const Moves& moves, int node, const MatrixD& magnitude);
/// The same for the budget, all of it spent on one output: the k largest of |z| times the change.
MatrixD budget_reach(const Network& network, const Moves& moves, int node, const MatrixD& magnitude);

}  // namespace temblor
