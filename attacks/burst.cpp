#include "stored_faults.hpp"
#include "table.hpp"

#include <set>

namespace temblor {
namespace {

/// Bursts in the rows of a memory. A place is a window of `length` neighbouring columns of one row that holds
/// a bit of the chosen layers; windows may begin before the row or end behind it, so that every bit is in as
/// many windows as any other. A window belongs to its first such bit: a place is drawn as a bit and its
/// offset in the window, and dropped when the bit is not the window's first.
class Burst : public StoredFaults {
 public:
  explicit Burst(const AttackContext& context)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        length_(static_cast<std::uint64_t>(context.params.integer("length"))),
        value_(context.params.text("value")),
        fill_(fill_of(context.params)),
        layout_(context.memory, codes()),
        population_(code_grids(), stratum_bits(), {}),
        chosen_(codes().size()) {
    for (const int layer : layers()) chosen_[static_cast<std::size_t>(layer)] = true;
    // Every bit is the first one of the window that begins with it.
    if (draw_ == Draw::count) refuse_more_than(population_.size(), "burst", "bursts", "bits");
  }

  Perturbation perturb(const Stream& stream) const override {
    Filling filling(layout_, codes(), fill_);
    const std::uint64_t pairs = population_.size() * length_;
    if (draw_ != Draw::count) {
      for (const auto& one : draw_arrivals(stream, draw_, pairs, severity())) {
        if (first_of_window(one.position)) filling.add(window(one.position), one.mark);
      }
      return inverted(filling.flips());
    }
    Stream draws = stream;
    std::set<std::uint64_t> places;
    while (static_cast<double>(places.size()) < severity()) {
      const std::uint64_t pair = draws.below(pairs);
      if (first_of_window(pair)) places.insert(pair);
    }
    for (const std::uint64_t place : places) filling.add(window(place), draws.word64());
    return inverted(filling.flips());
  }

  ThreatSet threat() const override {
    const std::string what =
        "format=" + format().name + " bursts of " + std::to_string(length_) + " value=" + value_;
    if (draw_ != Draw::count) return random_flips(what + " rate");
    return bounded_flips(what + " flips", static_cast<std::uint64_t>(severity()) * length_, all_bits());
  }

 private:
  std::vector<std::uint32_t> stratum_bits() const {
    std::vector<std::uint32_t> bits;
    for (int bit = 0; bit < format().bits; ++bit) bits.push_back(static_cast<std::uint32_t>(bit));
    return bits;
  }

  bool holds_chosen(const MemoryCell& cell) const {
    const auto address = layout_.stored_in(cell);
    return address && chosen_[layout_.bit_at(*address).layer];
  }

  bool first_of_window(std::uint64_t pair) const {
    MemoryCell cell = layout_.cell(layout_.address(population_.at(pair / length_)));
    for (std::uint64_t before = pair % length_; before > 0 && cell.column > 0; --before) {
      --cell.column;
      if (holds_chosen(cell)) return false;
    }
    return true;
  }

  /// Addresses of the window's chosen bits, from its first one on.
  std::vector<std::uint64_t> window(std::uint64_t pair) const {
    MemoryCell cell = layout_.cell(layout_.address(population_.at(pair / length_)));
    std::vector<std::uint64_t> addresses;
    for (std::uint64_t left = length_ - pair % length_; left > 0; --left, ++cell.column) {
      if (holds_chosen(cell)) addresses.push_back(*layout_.stored_in(cell));
    }
    return addresses;
  }

  Draw draw_;
  std::uint64_t length_;
  std::string value_;
  Fill fill_;
  MemoryLayout layout_;
  BitPopulation population_;
  std::vector<bool> chosen_;  ///< by layer
};

Quantity quantity(const Params& params) {
  return drawn_quantity(params, "rate",
                        {"bursts", "number of bursts, all in different places", "", 0, 0x1p40, true},
                        "probability of a burst at every place of the memory, independently");
}

}  // namespace

AttackEntry burst_entry() {
  return {
      .name = "burst",
      .help = "bursts: neighbouring bits of a memory row fail together",
      .example = "--attack burst --set length=4 --set mode=count --bursts 1 --format int8 --trials 1000",
      .source = "baseline: multiple-cell upsets along a word line",
      .gradient = false,
      .stored_codes = true,
      .quantity = quantity,
      .params = {mode_param("rate", "places of the memory"),
                 {.name = "length",
                  .type = ParamType::integer,
                  .initial = "4",
                  .help =
                      "neighbouring bits of a burst; cut at the ends of a row, and bits of other layers stay",
                  .unit = "bits",
                  .least = 1,
                  .most = 4096},
                 value_param("what the bits become", {"invert", "zero", "ones", "random"})},
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<Burst>(context);
      },
  };
}

}  // namespace temblor
