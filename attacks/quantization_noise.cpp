#include "table.hpp"

#include <temblor/perturb/project.hpp>

namespace temblor {
namespace {

Quantiser quantiser_of(const AttackContext& context) {
  return {static_cast<int>(context.severity), context.params.text("grid") == "affine",
          context.params.text("granularity") == "channel"};
}

Quantiser::Grid grid_of(const Quantiser& quantiser, const Matrix& weight) {
  return quantiser.grid({weight.data(), static_cast<std::size_t>(weight.size())},
                        static_cast<std::size_t>(weight.rows()), static_cast<std::size_t>(weight.cols()));
}

/// Noise uniform on half a step around every weight: the usual model of rounding to b bits.
class UniformNoise : public Attack {
 public:
  explicit UniformNoise(const AttackContext& context)
      : network_(context.network),
        layers_(context.layers),
        severity_(context.severity),
        per_channel_(quantiser_of(context).per_channel) {
    for (const int layer : layers_) {
      steps_.push_back(grid_of(quantiser_of(context), network_.weights(layer).weight).step);
    }
  }

  Perturbation perturb(const Stream& stream) const override {
    Stream draws = stream;
    DenseDelta delta;
    delta.layers.resize(static_cast<std::size_t>(network_.layers()));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      Weights noisy = network_.weights(layers_[i]);
      for (Index row = 0; row < noisy.weight.rows(); ++row) {
        const double radius = half_step(i, row);
        for (Index col = 0; col < noisy.weight.cols(); ++col) {
          float& weight = noisy.weight(row, col);
          weight = moved(weight, radius * (2 * draws.uniform() - 1), radius);
        }
      }
      delta.layers[static_cast<std::size_t>(layers_[i])] = std::move(noisy);
    }
    return {std::move(delta)};
  }

  ThreatSet threat() const override {
    std::vector<std::optional<Radius>> boxes(static_cast<std::size_t>(network_.layers()));
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      Radius radius;
      if (per_channel_) {
        const auto& weight = network_.weights(layers_[i]).weight;
        radius.weight.resize(weight.rows(), weight.cols());
        for (Index row = 0; row < weight.rows(); ++row) radius.weight.row(row).setConstant(half_step(i, row));
      } else {
        radius.uniform = half_step(i, 0);
      }
      boxes[static_cast<std::size_t>(layers_[i])] = std::move(radius);
    }
    return box_set(network_, severity_, std::move(boxes), "quantization");
  }

 private:
  double half_step(std::size_t layer, Index row) const {
    return static_cast<double>(steps_[layer][static_cast<std::size_t>(row)]) / 2;
  }

  const Network& network_;
  LayerSet layers_;
  double severity_;
  bool per_channel_;
  std::vector<std::vector<float>> steps_;  ///< one a chosen layer, [rows]
};

/// Rounding to b bits as it is: one perturbation, and the box of what every weight really moved by.
class Rounding : public Attack {
 public:
  explicit Rounding(const AttackContext& context) : network_(context.network), severity_(context.severity) {
    const auto quantiser = quantiser_of(context);
    rounded_.layers.resize(static_cast<std::size_t>(network_.layers()));
    for (const int layer : context.layers) {
      Weights weights = network_.weights(layer);
      const auto grid = grid_of(quantiser, weights.weight);
      for (Index row = 0; row < weights.weight.rows(); ++row) {
        const float step = grid.step[static_cast<std::size_t>(row)];
        const auto zero = grid.zero_point[static_cast<std::size_t>(row)];
        for (Index col = 0; col < weights.weight.cols(); ++col) {
          float& weight = weights.weight(row, col);
          weight = Quantiser::value(quantiser.code(weight, step, zero), step, zero);
        }
      }
      rounded_.layers[static_cast<std::size_t>(layer)] = std::move(weights);
    }
  }

  Perturbation perturb(const Stream& /*stream*/) const override { return {rounded_}; }
  bool deterministic() const override { return true; }

  ThreatSet threat() const override {
    std::vector<std::optional<Radius>> boxes(rounded_.layers.size());
    for (std::size_t layer = 0; layer < boxes.size(); ++layer) {
      if (!rounded_.layers[layer]) continue;
      const Matrix& before = network_.weights(static_cast<int>(layer)).weight;
      const Matrix& after = rounded_.layers[layer]->weight;
      Radius radius;
      // Exact: a weight and its grid value are both 0, or within 2^17 of each other, so 53 bits hold the
      // difference.
      radius.weight = (after.cast<double>() - before.cast<double>()).cwiseAbs();
      boxes[layer] = std::move(radius);
    }
    return box_set(network_, severity_, std::move(boxes), "quantization");
  }

 private:
  const Network& network_;
  double severity_;
  DenseDelta rounded_;
};

Quantity quantity(const Params& /*params*/) {
  return {"bits", "bits a weight is rounded to", "bits", 2, 16, true};
}

std::unique_ptr<Attack> make(const AttackContext& context) {
  if (context.params.text("mode") == "round") return std::make_unique<Rounding>(context);
  return std::make_unique<UniformNoise>(context);
}

}  // namespace

AttackEntry quantization_noise_entry() {
  return {
      .name = "quantization-noise",
      .help = "rounding to b bits, or its model: uniform noise of half a step around every weight",
      .example = "--attack quantization-noise --set mode=round --bits 8,6,4 --bound interval",
      .source = "baseline; noise model after Widrow, IRE Trans. Circuit Theory 3, 1956",
      .gradient = false,
      .stored_codes = false,
      .quantity = quantity,
      .params =
          {
              {.name = "mode",
               .type = ParamType::choice,
               .initial = "uniform",
               .help = "uniform: random in [-step/2, step/2]; round: the actual rounding, the same in every "
                       "trial",
               .choices = {"uniform", "round"}},
              {.name = "grid",
               .type = ParamType::choice,
               .initial = "symmetric",
               .help = "symmetric: step = max|w| / (2^(b-1) - 1); affine: step = (max - min) / (2^b - 1)",
               .choices = {"symmetric", "affine"}},
              {.name = "granularity",
               .type = ParamType::choice,
               .initial = "tensor",
               .help = "one step a layer (tensor) or an output (channel)",
               .choices = {"tensor", "channel"}},
          },
      .make = make,
  };
}

}  // namespace temblor
