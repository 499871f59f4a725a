#pragma once

#include "state.hpp"

#include <memory>
#include <span>
#include <vector>

namespace temblor {

/// The end of a network that is a chain of dense layers with at most one element-wise activation after each,
/// none after the last, and its golden run laid out for small changes. Often the whole network.
///
/// Rounding (running error analysis, Higham, Accuracy and Stability of Numerical Algorithms, section 3.3; u =
/// 2^-24; the code widens every term by 5 % for what is of second order). A step of a sum errs by at most u
/// times the partial sum it gives, and not at all where the input is 0. Let `path` be the sum of the
/// magnitudes of a unit's golden partial sums at steps with an input other than 0. Changes of c weights by
/// d_j move every partial sum by at most D = sum |d_j z_j|, so that the shortcut p~ = p + sum d_j z_j and the
/// full sum p' differ by at most
///   |p' - p~| <= u (2 path + n D + (c + 2) (|p~| + D)).
/// The layers above are 1-Lipschitz after absolute weights and err in the same way: each logit of the
/// shortcut is off the full pass by at most
///   reach_i (|z' - z~| + 16 u |z~| + K_m |dz|) + B,   reach_i = max_r (|W_L| .. |W_m+1|)_ri,
/// K_m = sum_{k>m} 2 (n_k + 26) u, and B = sum_{k>m} max_r (|W_L| .. |W_k+1| u (2 path_k + 48 |W_k|
/// |z_k-1|))_r from the golden run of the image (the 48 and 26 cover two evaluations of a smooth activation,
/// 8 ulp each, and the rounding of the shortcut's own sums).
struct Chain {
  struct Stage {
    int node = 0;                           ///< of the dense layer
    const Layer* activation = nullptr;      ///< null after the last layer, or where there is none
    std::shared_ptr<const Matrix> inputs;   ///< golden, [images x inputs]
    std::shared_ptr<const Matrix> outputs;  ///< golden, of the dense layer, [images x outputs]
    Matrix input;                           ///< golden inputs, [inputs x images]
    Matrix before;                          ///< golden outputs of the dense layer, [outputs x images]
    Matrix path;                            ///< [outputs x images], see above
    std::vector<float> input_max;           ///< largest magnitude of each input
    std::vector<float> reach;               ///< each unit's
    std::vector<float> rounding;            ///< B of each image
    float factor_above = 0;                 ///< K
    double growth = 1;  ///< no sum above grows by more than this times a change of this stage's outputs
    double most = 0;    ///< no golden sum of partial sums is larger
  };
  std::vector<Stage> stages;
  std::vector<float> gap;  ///< golden distance of the two largest logits

  /// Golden outputs of a stage after its activation, [outputs x images].
  const Matrix& after(std::size_t stage) const {
    return stage + 1 < stages.size() ? stages[stage + 1].input : stages[stage].before;
  }
};

/// First node of the chain that the network ends in; the number of nodes when there is none.
int dense_tail(const Network& network);

/// Null when the network does not end in such a chain, or some golden value in it is not finite.
std::unique_ptr<const Chain> make_chain(const Network& network, const Dataset& data, const Golden& golden);

/// The effect of a few changed weights of one layer by rank-1 changes. False, with nothing folded, when the
/// layer is not in the chain or the change is too large for finite arithmetic to be certain.
bool infer_changes(const Baseline& base, const Chain& chain, const SparseDelta& delta,
                   Evaluator::Scratch::State& state, Tally& tally);

}  // namespace temblor
