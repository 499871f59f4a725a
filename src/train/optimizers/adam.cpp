#include "../chunks.hpp"
#include "../optimizer_table.hpp"

#include <cmath>

namespace temblor {
namespace {

/// Adam (Kingma, Ba, ICLR 2015, algorithm 1); weight decay enters through the gradient.
class Adam final : public Optimizer {
 public:
  Adam(const Params& params, std::span<const Weights> parameters)
      : beta1_(params.real("beta1")),
        beta2_(params.real("beta2")),
        epsilon_(static_cast<float>(params.real("epsilon"))),
        decay_(static_cast<float>(params.real("weight-decay"))),
        mean_(zeros_like(parameters)),
        square_(zeros_like(parameters)) {}

  void step(std::span<Weights> parameters, std::span<const Weights> gradients, double rate) override {
    ++steps_;
    const double first = 1 - std::pow(beta1_, static_cast<double>(steps_));
    const double second = 1 - std::pow(beta2_, static_cast<double>(steps_));
    const auto stride = static_cast<float>(rate / first);
    const auto root = static_cast<float>(1 / std::sqrt(second));
    for (std::size_t m = 0; m < parameters.size(); ++m) {
      move(parameters[m].weight, gradients[m].weight, mean_[m].weight, square_[m].weight, decay_, stride,
           root);
      move(parameters[m].bias, gradients[m].bias, mean_[m].bias, square_[m].bias, 0, stride, root);
    }
  }

 private:
  template <class Values>
  void move(Values& values, const Values& gradient, Values& mean, Values& square, float decay, float stride,
            float root) const {
    const auto keep1 = static_cast<float>(beta1_);
    const auto keep2 = static_cast<float>(beta2_);
    const auto take1 = static_cast<float>(1 - beta1_);
    const auto take2 = static_cast<float>(1 - beta2_);
    for_chunks(values.size(), [&](Index begin, Index count) {
      Eigen::Map<Eigen::ArrayXf> w(values.data() + begin, count);
      Eigen::Map<Eigen::ArrayXf> m(mean.data() + begin, count);
      Eigen::Map<Eigen::ArrayXf> s(square.data() + begin, count);
      const Eigen::Map<const Eigen::ArrayXf> g(gradient.data() + begin, count);
      m = keep1 * m + take1 * (g + decay * w);
      s = keep2 * s + take2 * (g + decay * w).square();
      w -= stride * m / (s.sqrt() * root + epsilon_);
    });
  }

  double beta1_;
  double beta2_;
  float epsilon_;
  float decay_;
  std::int64_t steps_ = 0;
  std::vector<Weights> mean_;
  std::vector<Weights> square_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adam(const Params& params, std::span<const Weights> parameters) {
  return std::make_unique<Adam>(params, parameters);
}

}  // namespace temblor
