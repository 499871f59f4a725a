#pragma once

#include <optional>
#include <string>

#include <temblor/bounds/backward.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/graph_backward.hpp>
#include <temblor/bounds/pairs.hpp>

namespace temblor {

/// Backward linear relaxation, exact in the weights (theory, section 4; the CROWN family: Zhang, Weng, Chen,
/// Hsieh, Daniel, NeurIPS 2018). A pair margin is carried backward as one linear function of a hidden layer.
/// Because hidden activations are not negative, the worst weights of a box turn a^T W^ z into (W^T a - R^T
/// |a|)^T z exactly; only the ReLUs are relaxed, by the lines alpha p below and u (p - l) / (u - l) above.
/// The first hidden layer needs no lines: its activations fill a box. Limits l, u of hidden pre-activations
/// come from the same pass with c = +-e_k for every unit that interval propagation leaves unstable. Never
/// looser than `interval`, whose value is taken where it is smaller.
///
/// Chains of dense layers with ReLU between them go through Backward; other graphs of affine layers, relu,
/// leaky-relu, clip and max-pool through GraphBackward, which takes the best of all the places where a single
/// node is left. Parameter `work`, for these: what hidden limits may cost an image; those that come later are
/// those of interval propagation from the limits before. Inputs of any sign.
BoundValues linear_bound(const BoundContext& context);
/// The same with hidden limits from interval propagation alone: for dense chains with two hidden layers the
/// same values up to rounding, for deeper ones looser.
BoundValues linear_fast_bound(const BoundContext& context);
/// `linear` of a chain of dense layers with ReLU, whose images `entry` may stand for.
BoundValues linear_chain_bound(const BoundContext& context, const EntryBox* entry);
/// `linear` of one block of images of a chain by Backward alone, [count x classes].
MatrixD linear_drops(const BoxProblem& problem, const Backward& backward, Index first, Index count);

/// `linear` of one block of images beyond dense chains, and what is known of them then. It must stay where it
/// is.
struct GraphDrops {
  /// Without `work`, hidden limits are those of the enclosures.
  GraphDrops(const BoxProblem& problem, const GraphBackward& backward, std::optional<double> work,
             Index first, Index count);
  GraphDrops(const GraphDrops&) = delete;
  GraphDrops& operator=(const GraphDrops&) = delete;

  /// Lower limits of the rows' perturbed margins.
  void take(const VectorD& low) { take_smaller_drops(rows, before, low, value); }

  Enclosures enclosures;
  MatrixD before;  ///< margins_before()
  PairRows rows;
  GraphCases cases;
  MatrixD value;  ///< [count x classes]
};
/// Whether a network is a chain of dense layers with ReLU between them: Backward is for these.
bool dense_chain(const Network& network);

/// Which hidden limits a pass takes.
enum class Hidden { interval, backward };

/// What `linear` does on a chain of dense layers with ReLU. Where the set has a budget the pass for graphs
/// runs too, as it knows that most units of the first layer that moves do not (theory, section 4, few
/// planes); the smaller drops count.
class ChainPasses {
 public:
  explicit ChainPasses(const BoxProblem& problem);
  const Backward& backward() const { return backward_; }
  /// [count x classes]
  MatrixD drops(const BoxProblem& problem, Hidden hidden, Index first, Index count) const;

 private:
  Backward backward_;
  std::optional<GraphBackward> graph_;
};

/// A budget of one change is spent in one layer: the largest of the drops that each layer alone allows. Other
/// budgets as they are.
BoundMaker layer_by_layer(BoundMaker make);

/// linear with the lower slopes alpha of every row sought by projected ascent (slopes.hpp): hidden limits
/// from the third hidden layer on, side by side, then the margins, pair by pair (alpha-CROWN: Xu, Zhang,
/// Wang, Wang, Jana, Lin, Hsieh, ICLR 2021; here with the derivative of the backward pass itself and exact in
/// the weights). Beyond dense chains the slopes of every free line (FreeLines), hidden limits for `work`
/// more. Parameters `steps`, `work`. Never looser than `linear`.
BoundValues linear_alpha_bound(const BoundContext& context);
std::vector<ParamSpec> linear_alpha_params();

std::vector<ParamSpec> linear_params();
std::string refuses_linear(const Network& network, const ThreatSet& set);
/// linear_bound's refusals for what needs a chain of dense layers with ReLU between them: Backward.
std::string refuses_linear_chain(const Network& network, const ThreatSet& set);

}  // namespace temblor
