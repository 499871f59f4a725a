#include "table.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/perturb/project.hpp>

namespace temblor {
namespace {

/// A Gaussian direction in every chosen layer, scaled to the layer's full radius: the random baseline of an
/// attack at the same norm. Rounded toward the base weight, so that the set contains the result in exact
/// arithmetic.
class Gaussian : public Attack {
 public:
  explicit Gaussian(const AttackContext& context) : network_(context.network), set_(make_set(context)) {}

  Perturbation perturb(const Stream& stream) const override {
    Stream draws = stream;
    DenseDelta delta;
    delta.layers.resize(static_cast<std::size_t>(network_.layers()));
    for (const int layer : set_.layers) {
      const Weights& base = network_.weights(layer);
      const VectorD weight_draws = normals(draws, base.weight.size());
      const VectorD bias_draws = normals(draws, set_.biases ? base.bias.size() : 0);
      auto& moved_weights = delta.layers[static_cast<std::size_t>(layer)].emplace(base);
      if (set_.ball == Ball::l2) {
        move_in_ball(weight_draws, moved_weights.weight);
      } else {
        const double most = std::max(largest(weight_draws), largest(bias_draws));
        const auto& radius = *set_.radius[static_cast<std::size_t>(layer)];
        move_in_box(weight_draws / most, radius.uniform, radius.weight, moved_weights.weight);
        move_in_box(bias_draws / most, radius.bias_uniform, radius.bias, moved_weights.bias);
      }
    }
    return {std::move(delta)};
  }

  ThreatSet threat() const override { return set_; }

 private:
  static ThreatSet make_set(const AttackContext& context) {
    const bool biases = context.params.flag("biases");
    switch (parse_ball(context.params.text("ball"))) {
      case Ball::relative:
        return relative_set(context.network, context.severity, context.layers, biases);
      case Ball::l2:
        if (biases) {
          usage_error("attack 'gaussian', biases=true", "the l2 ball holds weights only",
                      "leave biases out, or take ball=linf");
        }
        return l2_set(context.network, context.severity, context.layers);
      default:
        return linf_set(context.network, context.severity, context.layers, biases);
    }
  }

  static VectorD normals(Stream& draws, Index count) {
    VectorD values(count);
    for (Index i = 0; i < count; ++i) values(i) = draws.normal();
    return values;
  }

  static double largest(const VectorD& values) {
    return values.size() == 0 ? 0 : values.cwiseAbs().maxCoeff();
  }

  /// `part` is in [-1, 1], so part * radius never exceeds the radius, rounded or not.
  template <class Radii, class Values>
  static void move_in_box(const VectorD& part, double uniform, const Radii& radii, Values& values) {
    for (Index i = 0; i < part.size(); ++i) {
      const double radius = radii.size() != 0 ? radii.data()[i] : uniform;
      values.data()[i] = moved(values.data()[i], radius * part(i), radius);
    }
  }

  void move_in_ball(const VectorD& direction, Matrix& weight) const {
    // Shrunk by more than the double sums can lose.
    const double scale = set_.frobenius * (1 - 1e-12) / direction.norm();
    for (Index i = 0; i < direction.size(); ++i) {
      const double delta = scale * direction(i);
      weight.data()[i] = moved(weight.data()[i], delta, std::fabs(delta));
    }
  }

  const Network& network_;
  ThreatSet set_;
};

Quantity quantity(const Params& params) {
  switch (parse_ball(params.text("ball"))) {
    case Ball::relative:
      return {"r", "largest change of a weight relative to its magnitude", "", 0, 1e6, false};
    case Ball::l2:
      return {"radius", "Frobenius norm of each layer's change", "", 0, 1e6, false};
    default:
      return {"eps", "largest absolute change of a weight", "", 0, 1e6, false};
  }
}

}  // namespace

AttackEntry gaussian_entry() {
  return {
      .name = "gaussian",
      .help = "random baseline: a Gaussian direction in every layer, scaled to the full radius",
      .example = "--attack gaussian --eps 1e-3,1e-2 --trials 20 --bound norm-product",
      .source = "baseline",
      .gradient = false,
      .stored_codes = false,
      .quantity = quantity,
      .params =
          {
              {.name = "ball",
               .type = ParamType::choice,
               .initial = "linf",
               .help = "set of perturbations: largest absolute or relative change, or Frobenius norm a layer",
               .choices = {"linf", "relative", "l2"}},
              {.name = "biases",
               .type = ParamType::flag,
               .initial = "false",
               .help = "move biases too, by the same radius"},
          },
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<Gaussian>(context);
      },
  };
}

}  // namespace temblor
