#include "table.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/faults.hpp>

namespace temblor {
namespace {

/// Bits of the codes that faults may hit: those of `field` that are also in `bit`. Sorted.
std::vector<unsigned> chosen_bits(const Format& format, const std::string& field, const std::string& bit) {
  const std::string owner = "attack 'bit-flip', ";
  std::vector<unsigned> all(static_cast<std::size_t>(format.bits));
  std::iota(all.begin(), all.end(), 0U);
  std::set<unsigned> bits;
  if (field == "all") {
    bits.insert(all.begin(), all.end());
  } else {
    std::vector<std::string> fields = {"all"};
    for (const auto& known : format.fields) {
      fields.push_back(known.name);
      for (int i = 0; known.name == field && i < known.bits; ++i)
        bits.insert(static_cast<unsigned>(known.low + i));
    }
    if (bits.empty()) {
      usage_error(owner + "field '" + field + "'", "format " + format.name + " has no such field",
                  "its fields are " + join(fields, ", "));
    }
  }
  if (bit == "all") return {bits.begin(), bits.end()};
  std::set<unsigned> wanted;
  for (const auto& word : split(bit, '+')) {
    wanted.insert(static_cast<unsigned>(
        parse_integer(word, owner + "bit (of format " + format.name + ")", 0, format.bits - 1)));
  }
  std::vector<unsigned> both;
  std::set_intersection(bits.begin(), bits.end(), wanted.begin(), wanted.end(), std::back_inserter(both));
  if (both.empty()) {
    usage_error(owner + "bit '" + bit + "'",
                "field " + field + " of format " + format.name + " has none of these bits",
                "leave one of field and bit out");
  }
  return both;
}

std::string bits_text(const std::vector<unsigned>& bits, const Format& format) {
  if (bits.size() == static_cast<std::size_t>(format.bits)) return "all";
  std::vector<std::string> words;
  for (const unsigned bit : bits) words.push_back(std::to_string(bit));
  return join(words, "+");
}

std::vector<Encoded> encode_again(const AttackContext& context) {
  std::vector<Encoded> codes;
  for (int layer = 0; layer < context.network.layers(); ++layer) {
    const auto& weights = context.network.weights(layer);
    codes.push_back(encode(weights, context.format));
    for (std::size_t i = 0; i < codes.back().codes.size(); ++i) {
      ensure(std::bit_cast<std::uint32_t>(codes.back().decode(i)) ==
                 std::bit_cast<std::uint32_t>(weights.weight.data()[i]),
             "the network's weights are decoded codes of format " + context.format.name);
    }
  }
  return codes;
}

enum class Target { codes, scales, zero_points };

Target target_of(const Params& params) {
  const auto name = params.text("target");
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
class BitFlip : public Attack {
 public:
  explicit BitFlip(const AttackContext& context)
      : network_(context.network),
        layers_(context.layers),
        severity_(context.severity),
        count_(context.params.text("mode") == "count"),
        target_(target_of(context.params)),
        format_(context.format),
        word_(word_of(context, target_)),
        bits_(chosen_bits(word_, context.params.text("field"), context.params.text("bit"))) {
    if (context.stored == nullptr) {
      own_codes_ = encode_again(context);
    } else {
      ensure(context.stored->format == &context.format, "the stored codes are of the point's format");
    }
    codes_ = context.stored == nullptr ? &own_codes_ : &context.stored->codes;
    for (const int layer : layers_) population_ += bits_of(layer);
    if (count_ && severity_ > static_cast<double>(population_)) {
      usage_error("attack 'bit-flip', flips " + to_text(severity_),
                  "the chosen layers and bits hold " + std::to_string(population_) + " bits",
                  "give at most that many");
    }
  }
  BitFlip(const BitFlip&) = delete;
  BitFlip& operator=(const BitFlip&) = delete;

  Perturbation perturb(const Stream& stream) const override {
    auto faults = drawn(stream);
    if (target_ == Target::codes) return with_faults(*codes_, std::move(faults));
    return changed_metadata(std::move(faults));
  }

  ThreatSet threat() const override {
    const std::string target = target_ == Target::scales        ? " of scales"
                               : target_ == Target::zero_points ? " of zero points"
                                                                : "";
    const std::string what =
        "format=" + format_.name + " bits=" + bits_text(bits_, word_) + target + (count_ ? " flips" : " ber");
    if (!count_ || target_ != Target::codes) return bits_set(network_, what, severity_, layers_);
    std::uint32_t mask = 0;
    for (const unsigned bit : bits_) mask |= std::uint32_t{1} << bit;
    return flips_set(network_, what, static_cast<std::int64_t>(severity_), layers_, {*codes_, mask});
  }

 private:
  const Encoded& codes_of(int layer) const { return (*codes_)[static_cast<std::size_t>(layer)]; }
  std::uint64_t bits_of(int layer) const { return count_of(codes_of(layer), target_) * bits_.size(); }

  /// Sorted by layer, word, bit; the words before and after count the earlier flips of the same word.
  std::vector<BitFault> drawn(const Stream& stream) const {
    Stream draws = stream;
    const auto chosen = count_ ? choose_distinct(draws, population_, static_cast<std::uint64_t>(severity_))
                               : choose_each(draws, population_, severity_);
    std::vector<BitFault> faults;
    std::size_t entry = 0;    // of layers_
    std::uint64_t first = 0;  // number of the first bit of that layer
    for (const std::uint64_t position : chosen) {
      while (position - first >= bits_of(layers_[entry])) first += bits_of(layers_[entry++]);
      const auto layer = static_cast<std::uint32_t>(layers_[entry]);
      const auto index = static_cast<std::uint32_t>((position - first) / bits_.size());
      const auto bit = bits_[(position - first) % bits_.size()];
      const bool again = !faults.empty() && faults.back().layer == layer && faults.back().index == index;
      const std::uint32_t before =
          again ? faults.back().after : word_at(codes_of(layers_[entry]), target_, index);
      faults.push_back({layer, index, bit, before, before ^ (1U << bit)});
    }
    return faults;
  }

  /// Every weight of a faulted scale or zero point is decoded again.
  Perturbation changed_metadata(std::vector<BitFault> faults) const {
    DenseDelta delta;
    delta.layers.resize(static_cast<std::size_t>(network_.layers()));
    for (std::size_t i = 0; i < faults.size();) {
      const auto layer = faults[i].layer;
      Encoded faulted = (*codes_)[layer];
      for (; i < faults.size() && faults[i].layer == layer; ++i) {
        set_word(faulted, target_, faults[i].index, faults[i].after);
      }
      Weights weights = network_.weights(static_cast<int>(layer));
      for (std::size_t k = 0; k < faulted.codes.size(); ++k) weights.weight.data()[k] = faulted.decode(k);
      delta.layers[layer] = std::move(weights);
    }
    return {std::move(delta), std::move(faults)};
  }

  const Network& network_;
  LayerSet layers_;
  double severity_;
  bool count_;
  Target target_;
  const Format& format_;
  const Format& word_;  ///< of the faulted words
  std::vector<unsigned> bits_;
  std::vector<Encoded> own_codes_;
  const std::vector<Encoded>* codes_;
  std::uint64_t population_ = 0;
};

Quantity quantity(const Params& params) {
  if (params.text("mode") == "count") {
    return {"flips", "number of inverted bits, all different", "bits", 0, 0x1p53, true};
  }
  return {"ber", "probability of every stored bit to be inverted, independently", "", 0, 1, false};
}

std::vector<std::string> field_choices() {
  std::vector<std::string> fields = {"all"};
  for (const auto& format : format_table()) {
    for (const auto& field : format.fields) {
      if (std::find(fields.begin(), fields.end(), field.name) == fields.end()) fields.push_back(field.name);
    }
  }
  return fields;
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
      .params =
          {
              {.name = "mode",
               .type = ParamType::choice,
               .initial = "ber",
               .help = "ber: every bit with the same probability; count: exactly so many different bits",
               .choices = {"ber", "count"}},
              {.name = "target",
               .type = ParamType::choice,
               .initial = "codes",
               .help = "what is faulted: the weights' codes, the float32 scales, or the zero points (as many "
                       "bits as a code)",
               .choices = {"codes", "scales", "zero-points"}},
              {.name = "field",
               .type = ParamType::choice,
               .initial = "all",
               .help = "only bits of this field of the format (of fp32 for scales)",
               .choices = field_choices()},
              {.name = "bit",
               .type = ParamType::text,
               .initial = "all",
               .help = "only these bits: all, or numbers joined by + (0+7); bit 0 is the least significant"},
          },
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<BitFlip>(context);
      },
  };
}

}  // namespace temblor
