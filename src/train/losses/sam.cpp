#include "../loss_table.hpp"
#include "../moved_weights.hpp"
#include "cross_entropy.hpp"

#include <cmath>

namespace temblor {
namespace {

/// Sharpness-aware minimisation (Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, equation 2 with p = 2): the
/// gradient is taken at w + rho g / ||g||_2, g the gradient of the batch at w, one norm over all parameters.
class Sam final : public CrossEntropy {
 public:
  explicit Sam(const Params& params) : rho_(params.real("rho")) {}

  LossSum step(Batch& batch) override {
    const LossSum sum = batch.evaluate(batch.weights());
    double squares = 0;
    for (const Weights& layer : batch.gradients())
      squares += square_sum(layer.weight) + square_sum(layer.bias);
    if (rho_ == 0 || !(squares > 0)) return sum;
    const auto scale = static_cast<float>(rho_ / std::sqrt(squares));
    MovedWeights moved(batch.weights());
    for (std::size_t m = 0; m < batch.gradients().size(); ++m) {
      moved[m].weight += scale * batch.gradients()[m].weight;
      moved[m].bias += scale * batch.gradients()[m].bias;
    }
    batch.evaluate(moved.view());
    return sum;
  }

 private:
  double rho_;
};

}  // namespace

std::unique_ptr<Loss> make_sam(const Params& params) {
  return std::make_unique<Sam>(params);
}

}  // namespace temblor
