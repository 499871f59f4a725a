#pragma once

#include <vector>

#include <temblor/bounds/backward.hpp>

namespace temblor {

/// The class pairs (label, j), j != label, of a stretch of images as rows for Backward::logit_forms: e_y -
/// e_j, or e_j
/// - e_y where the problem bounds a rise. Cases are numbered from `first`, the first image of the block.
struct PairRows {
  MatrixD logits;            ///< [rows x classes]
  std::vector<Index> at;     ///< case
  std::vector<Index> other;  ///< j
};
/// Images [begin, begin + count) of the block that starts at `first`.
PairRows pair_rows(const BoxProblem& problem, Index first, Index begin, Index count);

/// Upper limits on the pair margins of the unperturbed network, [count x classes] (on the negated margins for
/// a rise): a drop is this less the smallest perturbed margin. In exact arithmetic, rounded outward. The
/// enclosures are of all nodes, or of those before a dense last layer.
MatrixD margins_before(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count);

/// Takes before - low, rounded up, into `value` [count x classes] where it is smaller; low(i) belongs to row
/// i.
void take_smaller_drops(const PairRows& rows, const MatrixD& before, const VectorD& low, MatrixD& value);

}  // namespace temblor
