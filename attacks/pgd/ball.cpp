#include "ball.hpp"

#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/perturb/project.hpp>

namespace temblor::pgd {
namespace {

using Flat = Eigen::Map<Eigen::ArrayXf>;
using ConstFlat = Eigen::Map<const Eigen::ArrayXf>;

/// Uniform on (-1, 1), 23 bits.
float random_sign(Stream& stream) {
  return (static_cast<float>(stream.word() >> 9U) + 0.5F) * 0x1p-22F - 1.0F;
}

double rms(const ConstFlat& values) {
  return values.size() == 0 ? 0.0 : std::sqrt(values.cast<double>().square().mean());
}

/// Values in an element-wise box: the floats low..high are those within `radius` of the base in exact
/// arithmetic.
struct BoxValues {
  Eigen::ArrayXf base, low, high, radius;

  template <class RadiusOf>
  BoxValues(const float* values, Index n, const RadiusOf& radius_of) : base(ConstFlat(values, n)) {
    low.resize(n);
    high.resize(n);
    radius.resize(n);
    for (Index i = 0; i < n; ++i) {
      const double r = radius_of(i);
      low[i] = moved(base[i], -r, r);
      high[i] = moved(base[i], r, r);
      radius[i] = static_cast<float>(r);
    }
  }

  void draw(Stream& stream, float* values) const {
    for (Index i = 0; i < base.size(); ++i) values[i] = base[i] + radius[i] * random_sign(stream);
    clip(values);
  }

  void move(const float* grad, double size, Direction direction, float* values) const {
    const Index n = base.size();
    if (direction == Direction::sign) {
      const auto step = static_cast<float>(size);
      for (Index i = 0; i < n; ++i) {
        const float up = grad[i] > 0.0F ? 1.0F : 0.0F;
        const float down = grad[i] < 0.0F ? 1.0F : 0.0F;
        const float value = values[i] + step * radius[i] * (up - down);
        const float above = value < low[i] ? low[i] : value;
        values[i] = above > high[i] ? high[i] : above;
      }
      return;
    }
    const double scale = rms(ConstFlat(grad, n));
    if (scale == 0 || !std::isfinite(scale)) return;  // an overflowed gradient has no direction
    Flat(values, n) += static_cast<float>(size / scale) * radius * ConstFlat(grad, n);
    clip(values);
  }

 private:
  void clip(float* values) const {
    Flat flat(values, base.size());
    flat = flat.max(low).min(high);
  }
};

class BoxPath final : public Path {
 public:
  BoxPath(const Weights& base, const Radius& radius)
      : base_(&base),
        weight_(
            base.weight.data(), base.weight.size(),
            [&](Index i) { return radius.weight.size() != 0 ? radius.weight.data()[i] : radius.uniform; }),
        bias_(base.bias.data(), base.bias.size(),
              [&](Index i) { return radius.bias.size() != 0 ? radius.bias[i] : radius.bias_uniform; }),
        now_(base) {}

  void to_base() override { now_ = *base_; }
  void to_random(Stream& stream) override {
    weight_.draw(stream, now_.weight.data());
    bias_.draw(stream, now_.bias.data());
  }
  void step(const Weights& grad, double size, Direction direction) override {
    weight_.move(grad.weight.data(), size, direction, now_.weight.data());
    bias_.move(grad.bias.data(), size, direction, now_.bias.data());
  }
  const Weights& weights() const override { return now_; }

 private:
  const Weights* base_;
  BoxValues weight_;
  BoxValues bias_;
  Weights now_;
};

class BallPath final : public Path {
 public:
  BallPath(const Weights& base, double radius) : base_(&base), radius_(radius), now_(base) { to_base(); }

  void to_base() override {
    delta_.setZero(base_->weight.rows(), base_->weight.cols());
    now_ = *base_;
  }
  void to_random(Stream& stream) override {
    for (Index i = 0; i < delta_.size(); ++i) delta_.data()[i] = static_cast<float>(stream.normal());
    const auto n = static_cast<double>(delta_.size());
    rescale(radius_ * std::pow(stream.uniform(), 1.0 / n) / norm());
  }
  void step(const Weights& grad, double size, Direction direction) override {
    const ConstFlat g(grad.weight.data(), grad.weight.size());
    const double length = rms(g) * std::sqrt(static_cast<double>(g.size()));
    if (length == 0 || !std::isfinite(length)) return;
    Flat delta(delta_.data(), delta_.size());
    if (direction == Direction::sign) {
      delta += static_cast<float>(size * radius_ / std::sqrt(static_cast<double>(g.size()))) * g.sign();
    } else {
      delta += static_cast<float>(size * radius_ / length) * g;
    }
    const double now = norm();
    rescale(now > radius_ ? radius_ / now : 1.0);
  }
  const Weights& weights() const override { return now_; }

 private:
  double norm() const { return delta_.cast<double>().norm(); }

  /// delta *= factor, and weights that the ball contains: rounding base + delta may leave it by a few units
  /// in the last place, and shrinking delta by as much brings it back.
  void rescale(double factor) {
    delta_ *= static_cast<float>(factor);
    for (;;) {
      now_.weight = base_->weight + delta_;
      const double moved_by = (now_.weight.cast<double>() - base_->weight.cast<double>()).norm();
      if (moved_by <= radius_ * (1 - 1e-12)) return;
      if (moved_by == 0) return;
      delta_ *= std::min(static_cast<float>(1 - 0x1p-20), static_cast<float>(radius_ / moved_by));
    }
  }

  const Weights* base_;
  double radius_;
  Matrix delta_;
  Weights now_;
};

}  // namespace

std::unique_ptr<Path> make_path(const Weights& base, const ThreatSet& set, int layer) {
  switch (set.ball) {
    case Ball::linf:
    case Ball::relative:
    case Ball::box:
      return std::make_unique<BoxPath>(base, *set.radius.at(static_cast<std::size_t>(layer)));
    case Ball::l2:
      return std::make_unique<BallPath>(base, set.frobenius);
    case Ball::l2_row:
      usage_error("weight-pgd, scope=universal, on ball l2-row", "it has no projection onto it",
                  "take scope=sample, or ball=linf");
    case Ball::k_weights:
      usage_error("weight-pgd on ball k-weights", "which weights change is no continuous choice",
                  "take attack k-weights");
    case Ball::bits:
      break;
  }
  usage_error("weight-pgd on a set of bit flips", "it has no gradient", "take attack bit-flip");
}

}  // namespace temblor::pgd
