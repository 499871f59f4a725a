#pragma once

#include "tape.hpp"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/train/loss.hpp>

namespace temblor {

/// Which bound B^{yj} on the pairwise margin drop enters a loss. Each is the bound of that name in
/// src/bounds (linear: linear-fast) for abs(W^ - W) <= eps on all weights of all layers (biases stay),
/// computed without care for rounding from float32 activations: a training signal that follows the sound
/// bound to rounding, not a certificate.
enum class MarginBoundKind {
  norm_product,  ///< theory, section 2
  norm_vector,   ///< theory, section 2, vector form
  interval,      ///< theory, section 3
  linear         ///< theory, section 4, hidden limits from section 3: linear-fast, as CROWN-IBP (Zhang, Chen,
                 ///< Xiao, Gowal, Stanforth, Li, Boning, Hsieh, ICLR 2020) does for perturbed inputs
};

/// The parameter "bound" of a loss: one of `kinds`, the first the default.
ParamSpec margin_bound_param(const std::vector<std::string>& kinds);
MarginBoundKind margin_bound_kind(const std::string& name);
/// Why the bound cannot be trained on this network; "" when it can. Scope, inputs of any sign:
/// - all kinds: chains of dense layers with relu or sigmoid between them (linear: relu alone);
/// - interval: graphs of dense layers, convolutions and monotone layers that end in a dense layer and whose
///   weights meet the image or values that are not negative. With batch normalisation (a graph that
///   Normalised made) the bound is that of the network folded at the block's statistics, eps on its weights.
std::string refuses_margin_bound(const Network& network, MarginBoundKind kind);

/// B^{yj} of one block of images, and its gradient.
class MarginBound {
 public:
  virtual ~MarginBound() = default;

  /// [images x classes]; 0 at the label.
  const MatrixD& value() const { return value_; }
  /// f^{yj}, [images x classes], from the float32 logits.
  virtual const MatrixD& margins() const = 0;

  /// Given a loss's gradient by the bounds and by the margins, adds its gradient: by outputs of nodes to
  /// `grad_outputs` (as backward() takes them) and by weights directly to `gradients`.
  virtual void backward(const MatrixD& grad_value, const MatrixD& grad_margins,
                        std::vector<Matrix>& grad_outputs, std::span<Weights* const> gradients) = 0;

 protected:
  MatrixD value_;
};

/// What a bound is computed from: `run` are the activations of forward() at `weights`. All references must
/// outlive the bound.
struct MarginBoundInput {
  const Network& network;
  const WeightView& weights;
  const Block& block;
  const Activations& run;
  double eps;
};
std::unique_ptr<MarginBound> make_margin_bound(const MarginBoundInput& input, MarginBoundKind kind);

/// Why the network is no chain that every kind (this one) covers.
std::string refuses_chain_bound(const Network& network, MarginBoundKind kind);
std::unique_ptr<MarginBound> make_chain_bound(const MarginBoundInput& input, MarginBoundKind kind);
/// The kind `interval` on graphs.
std::string refuses_graph_bound(const Network& network);
std::unique_ptr<MarginBound> make_graph_bound(const MarginBoundInput& input);

/// A dense last layer on a tape: weight [classes x inputs], bias [1 x classes].
struct LastLayer {
  Tape::Var weight;
  std::optional<Tape::Var> bias;
};
/// Lower limits of the pair margins for abs(W^ - W) <= eps and inputs in [least, most], none below 0, through
/// the rows W_y - W_j with radius 2 eps (theory, section 3): [images x classes].
Tape::Var lowest_margins(Tape& tape, const LastLayer& last, Tape::Var least, Tape::Var most,
                         const std::vector<std::int32_t>& labels, double eps);
/// b_y - b_j, [images x classes].
Tape::Var bias_margins(Tape& tape, Tape::Var bias, const std::vector<std::int32_t>& labels);

/// f^{yj} of logits, [images x classes].
MatrixD pair_margins(const MatrixD& logits, const std::vector<std::int32_t>& labels);
/// The gradient by the logits of a loss whose gradient by the pair margins is `by_margins`.
MatrixD logits_from_margins(const MatrixD& by_margins, const std::vector<std::int32_t>& labels);
/// total += gradient, where total may be empty.
void add_gradient(Matrix& total, const Matrix& gradient);

}  // namespace temblor
