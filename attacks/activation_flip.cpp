#include "stored_faults.hpp"
#include "table.hpp"

#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/activations.hpp>

namespace temblor {
namespace {

/// Transient faults: inverted bits of the codes of activations, fresh for every image from the image's own
/// stream, numbered by its place in the whole split: the images chosen beside it do not matter.
class ActivationFlip final : public Attack {
 public:
  explicit ActivationFlip(const AttackContext& context)
      : network_(context.network),
        index_(context.data.index),
        layers_(context.layers),
        severity_(context.severity),
        draw_(draw_of(context.params)),
        sites_(context.stored == nullptr ? nullptr : context.stored->sites),
        stratum_(stratum_of(context, "activation-flip", context.format, grids(true))),
        population_(grids(false), stratum_.bits, stratum_.rows),
        what_("format=" + context.format.name + " bits=" + stratum_.text() + " of activations" +
              (context.params.flag("image") ? " and images" : "") +
              (draw_ == Draw::count ? " flips" : " ber")) {
    if (draw_ == Draw::count && severity_ > static_cast<double>(population_.size())) {
      usage_error("attack 'activation-flip', flips " + to_text(severity_),
                  "an image has " + std::to_string(population_.size()) + " such bits",
                  "give at most that many");
    }
  }

  Perturbation perturb(const Stream& stream) const override {
    ActivationFaults faults{sites_, {}};
    for (std::size_t row = 0; row < index_.size(); ++row) {
      ensure(index_[row] < std::numeric_limits<std::uint32_t>::max(), "images are numbered in 32 bits");
      const Stream own = stream.substream(static_cast<std::uint32_t>(index_[row]) + 1);
      for (const auto position : draw_positions(own, draw_, population_.size(), severity_)) {
        const BitAddress at = population_.at(position);
        faults.bits.push_back({static_cast<std::uint32_t>(row), at.layer, at.index, at.bit});
      }
    }
    return {std::move(faults)};
  }

  ThreatSet threat() const override { return bits_set(network_, what_, severity_, layers_); }
  bool per_sample() const override { return true; }

 private:
  /// Units of each site, its channels as rows, under the number of the site, or of its layer (and without the
  /// image).
  std::vector<WordGrid> grids(bool by_layer) const {
    ensure(sites_ != nullptr, "attacks on activations have a network that holds them");
    std::vector<WordGrid> grids;
    for (std::size_t s = 0; s < sites_->size(); ++s) {
      const ActivationSite& site = (*sites_)[s];
      if (by_layer && site.layer < 0) continue;
      grids.push_back({static_cast<std::uint32_t>(by_layer ? site.layer : static_cast<int>(s)),
                       site.grid.rows, site.grid.cols});
    }
    return grids;
  }

  const Network& network_;
  const std::vector<std::int64_t>& index_;
  LayerSet layers_;
  double severity_;
  Draw draw_;
  std::shared_ptr<const std::vector<ActivationSite>> sites_;
  Stratum stratum_;
  BitPopulation population_;
  std::string what_;
};

Quantity quantity(const Params& params) {
  return drawn_quantity(
      params, "ber",
      {"flips", "number of inverted bits of every image, all different", "bits", 0, 0x1p53, true},
      "probability of every bit of every held activation to be inverted, independently");
}

std::vector<ParamSpec> params() {
  std::vector<ParamSpec> all = {
      mode_param("ber", "bits"),
      {.name = "image",
       .type = ParamType::flag,
       .initial = "false",
       .help = "the image is held in the format, and faulted, too"},
  };
  for (auto& param : stratum_params()) all.push_back(std::move(param));
  return all;
}

}  // namespace

AttackEntry activation_flip_entry() {
  return {
      .name = "activation-flip",
      .help =
          "transient faults: inverts bits of the chosen layers' outputs, held in the number format; fresh "
          "for "
          "every image",
      .example = "--attack activation-flip --ber 1e-5,1e-4 --format int8 --trials 100",
      .source = "baseline; transient faults as in Li et al., SC 2017",
      .gradient = false,
      .stored_codes = true,
      .quantity = quantity,
      .params = params(),
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<ActivationFlip>(context);
      },
      .base = [](const StoredNetwork& stored, const Dataset& data, const LayerSet& layers,
                 const Params& params) -> StoredNetwork {
        return hold_activations(stored, layers, params.flag("image"), data.images);
      },
  };
}

}  // namespace temblor
