#include "stored_faults.hpp"
#include "table.hpp"

#include <bit>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

enum class Target { codes, scales, zero_points };

Target target_of(const Params& params) {
  const auto& name = params.text("target");
  return name == "codes" ? Target::codes : name == "scales" ? Target::scales : Target::zero_points;
}

/// The format of a target's words: a scale is a float32, a zero point is as wide as a code.
const Format& word_of(const AttackContext& context, Target target) {
  const Format& format = context.format;
  const std::string owner = "attack 'bit-flip', target " + context.params.text("target");
  if (target == Target::scales && !format.scaled) {
    usage_error(owner, "format " + format.name + " has no scale", "use a format with one, as int8");
  }
  if (target == Target::zero_points && !format.quantiser.affine) {
    usage_error(owner, "format " + format.name + " has no zero point",
                "use a format with one, as int8-affine");
  }
  return target == Target::scales ? find_format("fp32") : format;
}

std::size_t count_of(const Encoded& encoded, Target target) {
  if (target == Target::scales) return encoded.scale.size();
  return target == Target::zero_points ? encoded.zero_point.size() : encoded.codes.size();
}

/// The stored word of an entry.
std::uint32_t word_at(const Encoded& encoded, Target target, std::size_t index) {
  if (target == Target::scales) return std::bit_cast<std::uint32_t>(encoded.scale[index]);
  if (target == Target::codes) return encoded.codes[index];
  const std::uint32_t mask = (1U << static_cast<unsigned>(encoded.format->bits)) - 1U;
  return static_cast<std::uint32_t>(encoded.zero_point[index]) & mask;
}

/// Puts another word in the place of a scale or zero point.
void set_word(Encoded& encoded, Target target, std::size_t index, std::uint32_t word) {
  if (target == Target::scales) {
    encoded.scale[index] = std::bit_cast<float>(word);
  } else {
    const bool negative = encoded.format->order == CodeOrder::twos_complement &&
                          (word >> static_cast<unsigned>(encoded.format->bits - 1)) != 0;
    encoded.zero_point[index] = static_cast<std::int32_t>(word) - (negative ? 1 << encoded.format->bits : 0);
  }
}

/// Faults in stored words: bits of the chosen layers, drawn without replacement. The population is every
/// chosen bit of every code (or scale, or zero point) of the chosen layers, numbered word by word, layer by
/// layer.
class BitFlip : public StoredFaults {
 public:
  explicit BitFlip(const AttackContext& context)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        target_(target_of(context.params)),
        stratum_(stratum_of(context, "bit-flip", word_of(context, target_), grids())),
        population_(grids(), stratum_.bits, stratum_.rows) {
    if (draw_ == Draw::count) refuse_more_than(population_.size(), "bit-flip", "flips", "bits");
  }

  Perturbation perturb(const Stream& stream) const override {
    std::vector<BitAddress> bits;
    for (const auto position : draw_positions(stream, draw_, population_.size(), severity())) {
      bits.push_back(population_.at(position));
    }
    if (target_ == Target::codes) return inverted(std::move(bits));
    return changed_metadata(bits);
  }

  /// The same rate holds for every bit of the memory only where every bit of a code may flip.
  std::optional<CodeFaults> code_faults() const override {
    if (target_ != Target::codes) return std::nullopt;
    if (draw_ == Draw::count || stratum_.text() != "all") return CodeFaults{};
    return CodeFaults{severity(), draw_ == Draw::nested};
  }

  std::uint64_t population() const override {
    return draw_ == Draw::count && severity() == 1 ? population_.size() : 0;
  }

  ThreatSet threat() const override {
    const std::string target = target_ == Target::scales        ? " of scales"
                               : target_ == Target::zero_points ? " of zero points"
                                                                : "";
    const std::string what = "format=" + format().name + " bits=" + stratum_.text() + target +
                             (draw_ == Draw::count ? " flips" : " ber");
    if (draw_ != Draw::count || target_ != Target::codes) return random_flips(what);
    return bounded_flips(what, static_cast<std::uint64_t>(severity()), stratum_.mask());
  }

 private:
  std::vector<WordGrid> grids() const {
    auto grids = code_grids();
    for (auto& grid : grids) {
      if (target_ == Target::codes) continue;
      grid.rows = count_of(codes()[grid.layer], target_);
      grid.cols = 1;
    }
    return grids;
  }

  /// Every weight of a faulted scale or zero point is decoded again.
  Perturbation changed_metadata(const std::vector<BitAddress>& bits) const {
    DenseDelta delta;
    delta.layers.resize(static_cast<std::size_t>(network().layers()));
    std::vector<BitFault> faults;
    for (std::size_t i = 0; i < bits.size();) {
      const auto layer = bits[i].layer;
      Encoded faulted = codes()[layer];
      for (; i < bits.size() && bits[i].layer == layer; ++i) {
        const auto before = word_at(faulted, target_, bits[i].index);
        faults.push_back({layer, bits[i].index, bits[i].bit, before, before ^ (1U << bits[i].bit)});
        set_word(faulted, target_, bits[i].index, faults.back().after);
      }
      Weights weights = network().weights(static_cast<int>(layer));
      for (std::size_t k = 0; k < faulted.codes.size(); ++k) weights.weight.data()[k] = faulted.decode(k);
      delta.layers[layer] = std::move(weights);
    }
    return {std::move(delta), std::move(faults)};
  }

  Draw draw_;
  Target target_;
  Stratum stratum_;
  BitPopulation population_;
};

Quantity quantity(const Params& params) {
  return drawn_quantity(params, "ber",
                        {"flips", "number of inverted bits, all different", "bits", 0, 0x1p53, true},
                        "probability of every stored bit to be inverted, independently");
}

std::vector<ParamSpec> params() {
  std::vector<ParamSpec> all = {
      mode_param("ber", "bits"),
      {.name = "target",
       .type = ParamType::choice,
       .initial = "codes",
       .help = "what is faulted: the weights' codes, the float32 scales, or the zero points (as many bits as "
               "a code)",
       .choices = {"codes", "scales", "zero-points"}},
  };
  for (auto& param : stratum_params()) all.push_back(std::move(param));
  return all;
}

}  // namespace

AttackEntry bit_flip_entry() {
  return {
      .name = "bit-flip",
      .help = "random faults: inverts stored bits of the weights, uniformly and without replacement",
      .example = "--attack bit-flip --set mode=count --flips 1 --format fp32,int8 --trials 1000",
      .source = "baseline; statistical fault injection after Leveugle et al., DATE 2009",
      .gradient = false,
      .stored_codes = true,
      .quantity = quantity,
      .params = params(),
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<BitFlip>(context);
      },
  };
}

}  // namespace temblor
