#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/train/loss.hpp>

namespace temblor {

/// Which bound B^{yj} on the pairwise margin drop enters a loss. Each is the bound of that name in
/// src/bounds (linear: linear-fast) for abs(W^ - W) <= eps on all weights of all layers (biases stay),
/// computed in plain double from float32 activations: a training signal that follows the sound bound to
/// rounding, not a certificate.
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
/// Why the bound cannot be trained on this network; "" when it can. Scope: chains of dense layers with relu
/// or sigmoid between them (linear: relu alone), inputs of any sign.
std::string refuses_margin_bound(const Network& network, MarginBoundKind kind);

/// B^{yj} of one block of images, and its gradient.
class MarginBound {
 public:
  /// `activations` are those of forward() at `weights`. All references must outlive the object.
  MarginBound(const Network& network, const WeightView& weights, const Block& block,
              const Activations& activations, MarginBoundKind kind, double eps);
  ~MarginBound();

  /// [images x classes]; 0 at the label.
  const MatrixD& value() const { return value_; }
  /// f^{yj}, [images x classes], from the float32 logits.
  const MatrixD& margins() const;

  /// Given a loss's gradient by the bounds and by the margins, adds its gradient: by outputs of nodes to
  /// `grad_outputs` (as backward() takes them) and by weights directly to `gradients`.
  void backward(const MatrixD& grad_value, const MatrixD& grad_margins, std::vector<Matrix>& grad_outputs,
                std::span<Weights* const> gradients);

 private:
  struct Walk;
  std::unique_ptr<Walk> walk_;
  MatrixD value_;
};

}  // namespace temblor
