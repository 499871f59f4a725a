#include "../chunks.hpp"
#include "../optimizer_table.hpp"

namespace temblor {
namespace {

/// Stochastic gradient descent with heavy-ball momentum (Polyak 1964), in the form whose velocity holds the
/// plain gradient: a change of the learning rate acts at once.
class Sgd final : public Optimizer {
 public:
  Sgd(const Params& params, std::span<const Weights> parameters)
      : momentum_(static_cast<float>(params.real("momentum"))),
        decay_(static_cast<float>(params.real("weight-decay"))),
        velocity_(zeros_like(parameters)) {}

  void step(std::span<Weights> parameters, std::span<const Weights> gradients, double rate) override {
    for (std::size_t m = 0; m < parameters.size(); ++m) {
      move(parameters[m].weight, gradients[m].weight, velocity_[m].weight, decay_, static_cast<float>(rate));
      move(parameters[m].bias, gradients[m].bias, velocity_[m].bias, 0, static_cast<float>(rate));
    }
  }

 private:
  template <class Values>
  void move(Values& values, const Values& gradient, Values& velocity, float decay, float rate) const {
    for_chunks(values.size(), [&](Index begin, Index count) {
      Eigen::Map<Eigen::ArrayXf> w(values.data() + begin, count);
      Eigen::Map<Eigen::ArrayXf> v(velocity.data() + begin, count);
      const Eigen::Map<const Eigen::ArrayXf> g(gradient.data() + begin, count);
      v = momentum_ * v + (g + decay * w);
      w -= rate * v;
    });
  }

  float momentum_;
  float decay_;
  std::vector<Weights> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const Params& params, std::span<const Weights> parameters) {
  return std::make_unique<Sgd>(params, parameters);
}

}  // namespace temblor
