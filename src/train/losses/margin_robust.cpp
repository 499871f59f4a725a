#include "../loss_table.hpp"
#include "../margin_bound.hpp"
#include "../norm_penalty.hpp"

#include <temblor/train/batch_norm.hpp>

namespace temblor {
namespace {

/// After Tsai, Hsu, Yu, Chen (arXiv 2103.02200); theory, section 9:
///   cross-entropy + lambda T + mu sum_m (norm_{2,1}((W^m)^T) + norm_{1,inf}((W^m)^T)),
/// T = max over j != y of max(0, B^{yj} - f^{yj}) (hinge) or of B^{yj} (bound). At ties of the maximum the
/// lowest class counts.
class MarginRobust final : public Loss {
 public:
  explicit MarginRobust(const Params& params)
      : kind_(margin_bound_kind(params.text("bound"))),
        hinge_(params.text("form") == "hinge"),
        eps_(params.real("eps")),
        lambda_(params.real("lambda")),
        mu_(params.real("mu")) {}

  std::string refuses(const Network& network) const override {
    if (mu_ > 0 && normalises(network))
      return "mu speaks of the weights that are stored in the end, which folding batch normalisation scales: "
             "use --batch-norm off, or mu=0";
    return refuses_margin_bound(network, kind_);
  }

  LossSum add_gradients(const Network& network, const WeightView& weights, const Block& block, double share,
                        Activations& scratch, std::span<Weights* const> gradients) const override {
    forward(network, weights, block.images, scratch);
    std::vector<Matrix> by_outputs(network.nodes().size());
    LossSum sum = cross_entropy(scratch.outputs.back(), block.labels, share, by_outputs.back());
    // A bound of radius 0 is 0.
    if (lambda_ > 0 && (hinge_ || eps_ > 0))
      sum.loss += lambda_ * robustness(network, weights, block, share, scratch, by_outputs, gradients);
    backward(network, weights, block.images, scratch, std::move(by_outputs), gradients);
    return sum;
  }

  double penalty(const Network& network, const WeightView& weights,
                 std::span<Weights* const> gradients) const override {
    return mu_ > 0 ? norm_penalty(network, weights, mu_, gradients) : 0;
  }

 private:
  /// Sum of T over the block.
  double robustness(const Network& network, const WeightView& weights, const Block& block, double share,
                    const Activations& run, std::vector<Matrix>& by_outputs,
                    std::span<Weights* const> gradients) const {
    const auto bound = make_margin_bound({network, weights, block, run, eps_}, kind_);
    MatrixD terms = bound->value();
    if (hinge_) terms -= bound->margins();
    MatrixD by_bound = MatrixD::Zero(terms.rows(), terms.cols());
    MatrixD by_margin = by_bound;
    double total = 0;
    for (Index n = 0; n < terms.rows(); ++n) {
      const Index label = block.labels[static_cast<std::size_t>(n)];
      Index worst = label == 0 ? 1 : 0;
      for (Index j = worst; j < terms.cols(); ++j) {
        if (j != label && terms(n, j) > terms(n, worst)) worst = j;
      }
      if (hinge_ && terms(n, worst) <= 0) continue;
      total += terms(n, worst);
      by_bound(n, worst) = lambda_ * share;
      if (hinge_) by_margin(n, worst) = -lambda_ * share;
    }
    bound->backward(by_bound, by_margin, by_outputs, gradients);
    return total;
  }

  MarginBoundKind kind_;
  bool hinge_;
  double eps_;
  double lambda_;
  double mu_;
};

}  // namespace

std::unique_ptr<Loss> make_margin_robust(const Params& params) {
  return std::make_unique<MarginRobust>(params);
}

}  // namespace temblor
