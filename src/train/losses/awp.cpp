#include "../loss_table.hpp"
#include "../moved_weights.hpp"
#include "cross_entropy.hpp"

#include <cmath>

namespace temblor {
namespace {

/// Adversarial weight perturbation (Wu, Xia, Wang, NeurIPS 2020, algorithm 1, without perturbed inputs): the
/// gradient is taken at W + V, where each layer's V (weights, not biases) raises the batch's loss by `steps`
/// steps
///   V <- project(V + step gamma ||W|| g / ||g||)   onto   ||V|| <= gamma ||W||   (Frobenius norms, layer by
///   layer).
class Awp final : public CrossEntropy {
 public:
  explicit Awp(const Params& params)
      : gamma_(params.real("gamma")), step_(params.real("step")), steps_(params.integer("steps")) {}

  LossSum step(Batch& batch) override {
    const LossSum sum = batch.evaluate(batch.weights());
    if (gamma_ == 0) return sum;
    MovedWeights moved(batch.weights());
    for (std::int64_t k = 0; k < steps_; ++k) {
      for (std::size_t m = 0; m < batch.weights().size(); ++m) {
        climb(batch.weights()[m]->weight, batch.gradients()[m].weight, moved[m].weight);
      }
      batch.evaluate(moved.view());
    }
    return sum;
  }

 private:
  void climb(const Matrix& base, const Matrix& gradient, Matrix& moved) const {
    const double slope = std::sqrt(square_sum(gradient));
    if (!(slope > 0)) return;
    const double radius = gamma_ * std::sqrt(square_sum(base));
    Matrix v = moved - base + static_cast<float>(step_ * radius / slope) * gradient;
    const double length = std::sqrt(square_sum(v));
    if (length > radius) v *= static_cast<float>(radius / length);
    moved = base + v;
  }

  double gamma_;
  double step_;
  std::int64_t steps_;
};

}  // namespace

std::unique_ptr<Loss> make_awp(const Params& params) {
  return std::make_unique<Awp>(params);
}

}  // namespace temblor
