#include "table.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

/// The weights of each layer stay within the range they have without faults.
class Clip final : public Protection {
 public:
  explicit Clip(const ProtectionContext& context)
      : network_(&context.stored.network), zero_(context.params.text("to") == "zero") {
    for (int layer = 0; layer < network_->layers(); ++layer) {
      const auto& weight = network_->weights(layer).weight;
      const bool some = weight.size() > 0;
      ranges_.push_back({some ? weight.minCoeff() : 0.0F, some ? weight.maxCoeff() : 0.0F});
    }
  }

  std::uint64_t overhead_bits() const override { return ranges_.size() * 2 * 32; }

  ProtectionCounts apply(const Exposure&, const Stream&, Perturbation& perturbation) const override {
    ProtectionCounts counts;
    if (auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) {
      for (auto& change : sparse->changes) change.after = clipped(change.layer, change.after, counts);
      return counts;
    }
    auto* dense = std::get_if<DenseDelta>(&perturbation.delta);
    ensure(dense != nullptr, "one perturbation for all images is clipped");
    for (std::size_t layer = 0; layer < dense->layers.size(); ++layer) {
      if (!dense->layers[layer]) continue;
      auto& weight = dense->layers[layer]->weight;
      for (Index i = 0; i < weight.size(); ++i) weight.data()[i] = clipped(layer, weight.data()[i], counts);
    }
    return counts;
  }

  /// A clipped weight lies between its base value and what the perturbation made of it.
  bool stays_in(const ThreatSet& set) const override { return !zero_ && set.ball != Ball::bits; }

 private:
  struct Range {
    float low, high;
  };

  float clipped(std::size_t layer, float value, ProtectionCounts& counts) const {
    const auto [low, high] = ranges_[layer];
    if (value >= low && value <= high) return value;
    ++counts.detected;
    return zero_ || std::isnan(value) ? 0.0F : std::clamp(value, low, high);
  }

  const Network* network_;
  bool zero_;
  std::vector<Range> ranges_;
};

}  // namespace

ProtectionEntry clip_entry() {
  return {.name = "clip",
          .help =
              "weights out of the range that their layer has without faults are clipped to it; NaN "
              "becomes 0",
          .example = "clip",
          .source = "standard practice; Stutz et al., MLSys 2021, clip while training",
          .of = ProtectionOf::weights,
          .params = {{.name = "to",
                      .type = ParamType::choice,
                      .initial = "limit",
                      .help = "a weight out of range becomes the nearer end of the range, or 0",
                      .choices = {"limit", "zero"}}},
          .make = [](const ProtectionContext& context) -> std::unique_ptr<Protection> {
            return std::make_unique<Clip>(context);
          }};
}

}  // namespace temblor
