#include "stored_faults.hpp"
#include "table.hpp"

#include <bit>

namespace temblor {
namespace {

MemoryUnit unit_of(const std::string& name) {
  if (name == "row") return MemoryUnit::row;
  if (name == "column") return MemoryUnit::column;
  return name == "bank" ? MemoryUnit::bank : MemoryUnit::word;
}

/// Parts of a memory that fail as a whole: words, rows, columns, banks.
class UnitFaults : public StoredFaults {
 public:
  UnitFaults(const AttackContext& context, const std::string& attack, const std::string& unit,
             const std::string& count)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        what_("format=" + format().name + " " + unit + "s value=" + context.params.text("value")),
        fill_(fill_of(context.params)),
        layout_(context.memory, codes()),
        units_(layout_, unit_of(unit), layers()) {
    if (draw_ == Draw::count) refuse_more_than(units_.size(), attack, count, unit + "s");
  }

  Perturbation perturb(const Stream& stream) const override {
    Filling filling(layout_, codes(), fill_);
    for (const auto& one : draw_arrivals(stream, draw_, units_.size(), severity())) {
      filling.add(units_.addresses(one.position), one.mark);
    }
    return inverted(filling.flips());
  }

  ThreatSet threat() const override {
    if (draw_ != Draw::count) return random_flips(what_ + " rate");
    return bounded_flips(what_ + " flips", static_cast<std::uint64_t>(severity()) * units_.most_bits(),
                         all_bits());
  }

 private:
  Draw draw_;
  std::string what_;
  Fill fill_;
  MemoryLayout layout_;
  MemoryUnits units_;
};

/// Whole codes replaced.
class WholeCodes : public StoredFaults {
 public:
  explicit WholeCodes(const AttackContext& context)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        value_(context.params.text("value")),
        fill_(fill_of(context.params)),
        population_(code_grids(), {0}, {}) {
    if (draw_ == Draw::count) refuse_more_than(population_.size(), "word", "words", "codes");
  }

  Perturbation perturb(const Stream& stream) const override {
    std::vector<BitAddress> bits;
    for (const auto& one : draw_arrivals(stream, draw_, population_.size(), severity())) {
      auto at = population_.at(one.position);
      const std::uint32_t stored = codes()[at.layer].codes[at.index];
      std::uint32_t after = 0;
      if (fill_ == Fill::ones) after = all_bits();
      if (fill_ == Fill::invert) after = ~stored;
      if (fill_ == Fill::random) after = static_cast<std::uint32_t>(one.mark);
      for (std::uint32_t changed = (stored ^ after) & all_bits(); changed != 0; changed &= changed - 1) {
        at.bit = static_cast<std::uint32_t>(std::countr_zero(changed));
        bits.push_back(at);
      }
    }
    return inverted(std::move(bits));
  }

  ThreatSet threat() const override {
    const std::string what = "format=" + format().name + " codes value=" + value_;
    if (draw_ != Draw::count) return random_flips(what + " rate");
    return bounded_flips(what + " flips",
                         static_cast<std::uint64_t>(severity()) * static_cast<unsigned>(format().bits),
                         all_bits());
  }

 private:
  Draw draw_;
  std::string value_;
  Fill fill_;
  BitPopulation population_;  ///< bit 0 stands for its code
};

Quantity word_quantity(const Params& params) {
  return drawn_quantity(params, "rate",
                        {"words", "number of faulty words, all different", "", 0, 0x1p40, true},
                        "probability of every word to be faulty, independently");
}

Quantity memory_quantity(const Params& params) {
  return drawn_quantity(
      params, "rate",
      {"failures", "number of failed rows, columns or banks, all different", "", 0, 0x1p40, true},
      "probability of every row, column or bank to fail, independently");
}

std::vector<std::string> values() {
  return {"zero", "ones", "random", "invert"};
}

}  // namespace

AttackEntry word_entry() {
  return {
      .name = "word",
      .help = "whole words replaced: by zeros, ones or random bits",
      .example = "--attack word --set value=random --set mode=count --words 1 --format int8 --trials 1000",
      .source = "baseline",
      .gradient = false,
      .stored_codes = true,
      .quantity = word_quantity,
      .params = {mode_param("rate", "words"),
                 {.name = "unit",
                  .type = ParamType::choice,
                  .initial = "code",
                  .help = "what a word is: the code of a weight, or a word of the memory",
                  .choices = {"code", "memory"}},
                 value_param("what a faulty word holds", values())},
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        if (context.params.text("unit") == "code") return std::make_unique<WholeCodes>(context);
        return std::make_unique<UnitFaults>(context, "word", "word", "words");
      },
  };
}

AttackEntry memory_entry() {
  return {
      .name = "memory",
      .help = "whole rows, columns or banks of the memory fail (temblor run --memory, [memory] of a spec)",
      .example =
          "--attack memory --set unit=column --set mode=count --failures 1 --memory row=16,banks=4 "
          "--format int8 --trials 100",
      .source = "baseline: row, column and bank failures as field studies of DRAM report them",
      .gradient = false,
      .stored_codes = true,
      .quantity = memory_quantity,
      .params = {mode_param("rate", "rows, columns or banks"),
                 {.name = "unit",
                  .type = ParamType::choice,
                  .initial = "row",
                  .help = "what fails: rows, columns (one bit of all rows of a bank), or banks",
                  .choices = {"row", "column", "bank"}},
                 value_param("what the faulty cells read as", values())},
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<UnitFaults>(context, "memory", context.params.text("unit"), "failures");
      },
  };
}

}  // namespace temblor
