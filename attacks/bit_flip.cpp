#include "table.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

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

/// Faults in stored codes: bits of the chosen layers, drawn without replacement. The population is every
/// chosen bit of every weight of the chosen layers, numbered weight by weight, layer by layer.
class BitFlip : public Attack {
 public:
  explicit BitFlip(const AttackContext& context)
      : network_(context.network),
        layers_(context.layers),
        severity_(context.severity),
        count_(context.params.text("mode") == "count"),
        format_(context.format),
        bits_(chosen_bits(context.format, context.params.text("field"), context.params.text("bit"))) {
    if (context.stored == nullptr) {
      own_codes_ = encode_again(context);
    } else {
      ensure(context.stored->format == &context.format, "the stored codes are of the point's format");
    }
    codes_ = context.stored == nullptr ? &own_codes_ : &context.stored->codes;
    for (const int layer : layers_) population_ += codes_of(layer).codes.size() * bits_.size();
    if (count_ && severity_ > static_cast<double>(population_)) {
      usage_error("attack 'bit-flip', flips " + to_text(severity_),
                  "the chosen layers and bits hold " + std::to_string(population_) + " bits",
                  "give at most that many");
    }
  }
  BitFlip(const BitFlip&) = delete;
  BitFlip& operator=(const BitFlip&) = delete;

  Perturbation perturb(const Stream& stream) const override {
    Stream draws = stream;
    const auto chosen = count_ ? choose_distinct(draws, population_, static_cast<std::uint64_t>(severity_))
                               : choose_each(draws, population_, severity_);
    SparseDelta delta;
    Perturbation result;
    std::size_t entry = 0;    // of layers_
    std::uint64_t first = 0;  // number of the first bit of that layer
    for (const std::uint64_t position : chosen) {
      while (position - first >= codes_of(layers_[entry]).codes.size() * bits_.size()) {
        first += codes_of(layers_[entry++]).codes.size() * bits_.size();
      }
      const auto layer = static_cast<std::uint32_t>(layers_[entry]);
      const auto index = static_cast<std::uint32_t>((position - first) / bits_.size());
      const auto bit = bits_[(position - first) % bits_.size()];
      const Encoded& encoded = codes_of(layers_[entry]);
      const bool again = !delta.changes.empty() && delta.changes.back().layer == layer &&
                         delta.changes.back().index == index;
      const std::uint32_t before = again ? result.faults.back().after : encoded.codes[index];
      const std::uint32_t after = before ^ (1U << bit);
      if (!again) delta.changes.push_back({layer, index, 0});
      delta.changes.back().after = encoded.decode(index, after);
      result.faults.push_back({layer, index, bit, before, after});
    }
    result.delta = std::move(delta);
    return result;
  }

  ThreatSet threat() const override {
    const std::string what =
        "format=" + format_.name + " bits=" + bits_text(bits_, format_) + (count_ ? " flips" : " ber");
    return bits_set(network_, what, severity_, layers_);
  }

 private:
  const Encoded& codes_of(int layer) const { return (*codes_)[static_cast<std::size_t>(layer)]; }

  const Network& network_;
  LayerSet layers_;
  double severity_;
  bool count_;
  const Format& format_;
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
              {.name = "field",
               .type = ParamType::choice,
               .initial = "all",
               .help = "only bits of this field of the format",
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
