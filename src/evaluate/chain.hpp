#pragma once

#include "state.hpp"

#include <memory>
#include <span>
#include <vector>

namespace temblor {

/// A network that is a chain of dense layers with at most one element-wise activation after each, none after
/// the last, and its golden run laid out for small changes.
///
/// Rounding (all constants with a margin over first-order running error analysis, u = 2^-24). Let unit i of
/// layer m have the perturbed pre-activation p' in exact order of additions and p~ = p + sum d z_j. Then |p'
/// - p~| <= kappa_m (S + D), S = sum |w z| + |b|, D = sum |d z_j|, kappa_m = 2.1 (n_m + 26) u. Layers above
/// are 1-Lipschitz after absolute weights, so that each logit of the shortcut differs from the full pass by
/// at most
///   reach_i (kappa_m (S + D) + 16 u |z~| + K_m |dz|) + B,   reach_i = max_r (|W_L| .. |W_m+1|)_ri,
/// K_m = sum_{k>m} kappa_k, B = sum_{k>m} kappa_k max_r (|W_L| .. |W_k| |z_k-1| + ..)_r for the golden z of
/// the image.
struct Chain {
  struct Stage {
    int node = 0;                       ///< of the dense layer
    const Layer* activation = nullptr;  ///< null after the last layer, or where there is none
    Matrix input;                       ///< golden inputs, [inputs x images]
    Matrix before;                      ///< golden outputs of the dense layer, [outputs x images]
    std::vector<float> input_norm;      ///< l2 norm of each image's input
    std::vector<float> input_max;       ///< largest magnitude of each input
    std::vector<float> row_norm;        ///< l2 norm of each unit's weights
    std::vector<float> reach;           ///< each unit's
    std::vector<float> rounding;        ///< B of each image
    float kappa = 0;
    float kappa_above = 0;  ///< K
    double growth = 1;      ///< no sum above grows by more than this times a change of this stage's outputs
    double most = 0;        ///< no golden partial sum is larger
  };
  std::vector<Stage> stages;
  std::vector<float> gap;  ///< golden distance of the two largest logits

  /// Golden outputs of a stage after its activation, [outputs x images].
  const Matrix& after(std::size_t stage) const {
    return stage + 1 < stages.size() ? stages[stage + 1].input : stages[stage].before;
  }
};

/// Null when the network is no such chain, or some golden value is not finite.
std::unique_ptr<const Chain> make_chain(const Network& network, const Dataset& data, const Golden& golden);

/// The effect of a few changed weights of one layer by rank-1 changes. False, with nothing folded, when the
/// change is too large for finite arithmetic to be certain.
bool infer_changes(const Baseline& base, const Chain& chain, const SparseDelta& delta,
                   Evaluator::Scratch::State& state, Tally& tally);

}  // namespace temblor
