#include "../loss_table.hpp"
#include "../margin_bound.hpp"

#include <algorithm>

namespace temblor {
namespace {

/// Cross-entropy on the worst logits that a bound allows, mixed with that on the logits themselves (as Gowal
/// et al., ICCV 2019, and Zhang et al., ICLR 2020, do for perturbed inputs):
///   k CE(f) + (1 - k) CE(w),   w_y = 0, w_j = B^{yj} - f^{yj}.
/// With r the share of the ramp that is done, B is taken at radius r eps and k = 1 - r (1 - kappa).
class Certified final : public Loss {
 public:
  explicit Certified(const Params& params)
      : kind_(margin_bound_kind(params.text("bound"))),
        eps_(params.real("eps")),
        kappa_(params.real("kappa")),
        start_(params.real("ramp-start")),
        length_(params.real("ramp-length")) {}

  std::string refuses(const Network& network) const override { return refuses_margin_bound(network, kind_); }

  LossSum step(Batch& batch) override {
    const double since = batch.time().epochs - start_;
    ramp_ = length_ > 0 ? std::clamp(since / length_, 0.0, 1.0) : since >= 0 ? 1 : 0;
    return Loss::step(batch);
  }

  LossSum add_gradients(const Network& network, const WeightView& weights, const Block& block, double share,
                        Activations& scratch, std::span<Weights* const> gradients) const override {
    forward(network, weights, block.images, scratch);
    std::vector<Matrix> by_outputs(network.nodes().size());
    const double eps = ramp_ * eps_;
    const double natural = eps > 0 ? 1 - ramp_ * (1 - kappa_) : 1;
    LossSum sum = cross_entropy(scratch.outputs.back(), block.labels, share * natural, by_outputs.back());
    if (natural < 1) {
      sum.loss *= natural;
      const auto bound = make_margin_bound({network, weights, block, scratch, eps}, kind_);
      const Matrix worst = (bound->value() - bound->margins()).cast<float>();
      Matrix by_worst;
      sum.loss += (1 - natural) * cross_entropy(worst, block.labels, share * (1 - natural), by_worst).loss;
      const MatrixD gradient = by_worst.cast<double>();
      bound->backward(gradient, -gradient, by_outputs, gradients);
    }
    backward(network, weights, block.images, scratch, std::move(by_outputs), gradients);
    return sum;
  }

 private:
  MarginBoundKind kind_;
  double eps_;
  double kappa_;
  double start_;
  double length_;
  double ramp_ = 1;  ///< share of the ramp that is done
};

}  // namespace

std::unique_ptr<Loss> make_certified(const Params& params) {
  return std::make_unique<Certified>(params);
}

}  // namespace temblor
