#include "stored_faults.hpp"
#include "table.hpp"

#include <algorithm>

#include <temblor/base/text.hpp>

namespace temblor {
namespace {

/// Cells that always read as 0, or always as 1: bits that are stored so already do not change.
class StuckAt : public StoredFaults {
 public:
  explicit StuckAt(const AttackContext& context)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        value_(context.params.text("value")),
        fill_(fill_of(context.params)),
        stratum_(stratum_of(context, "stuck-at", format(), code_grids())),
        population_(code_grids(), stratum_.bits, stratum_.rows) {
    if (draw_ == Draw::count) refuse_more_than(population_.size(), "stuck-at", "cells", "bits");
  }

  Perturbation perturb(const Stream& stream) const override {
    std::vector<BitAddress> bits;
    for (const auto& one : draw_arrivals(stream, draw_, population_.size(), severity())) {
      const auto bit = population_.at(one.position);
      const bool value = fill_ == Fill::random ? (one.mark & 1U) != 0 : fill_ == Fill::ones;
      if (value != stored_bit(bit)) bits.push_back(bit);
    }
    return inverted(std::move(bits));
  }

  ThreatSet threat() const override {
    const std::string what = "format=" + format().name + " bits=" + stratum_.text() + " stuck-at-" + value_;
    if (draw_ != Draw::count) return random_flips(what + " rate");
    return bounded_flips(what + " cells", static_cast<std::uint64_t>(severity()), stratum_.mask());
  }

 private:
  Draw draw_;
  std::string value_;
  Fill fill_;
  Stratum stratum_;
  BitPopulation population_;
};

/// Bits that change with a probability that depends on what they hold.
class Asymmetric : public StoredFaults {
 public:
  explicit Asymmetric(const AttackContext& context)
      : StoredFaults(context),
        draw_(draw_of(context.params)),
        up_(context.params.real("p01") * severity()),
        down_(context.params.real("p10") * severity()),
        stratum_(stratum_of(context, "asymmetric", format(), code_grids())),
        population_(code_grids(), stratum_.bits, stratum_.rows) {}

  Perturbation perturb(const Stream& stream) const override {
    std::vector<BitAddress> bits;
    for (const auto& one : draw_arrivals(stream, draw_, population_.size(), std::max(up_, down_))) {
      const auto bit = population_.at(one.position);
      if (one.hash < (stored_bit(bit) ? down_ : up_)) bits.push_back(bit);
    }
    return inverted(std::move(bits));
  }

  ThreatSet threat() const override {
    return random_flips("format=" + format().name + " bits=" + stratum_.text() + " p01=" + to_text(up_) +
                        " p10=" + to_text(down_) + " rate");
  }

 private:
  Draw draw_;
  double up_, down_;  ///< probabilities of 0 to become 1, and of 1 to become 0
  Stratum stratum_;
  BitPopulation population_;
};

Quantity stuck_quantity(const Params& params) {
  return drawn_quantity(params, "rate",
                        {"cells", "number of stuck bits, all different", "bits", 0, 0x1p53, true},
                        "probability of every stored bit to be stuck, independently");
}

Quantity asymmetric_quantity(const Params& params) {
  return drawn_quantity(params, "rate", {}, "probability that the parameters p01 and p10 are shares of");
}

std::vector<ParamSpec> with_stratum(std::vector<ParamSpec> params) {
  for (auto& param : stratum_params()) params.push_back(std::move(param));
  return params;
}

ParamSpec share(const std::string& name, const std::string& initial, const std::string& help) {
  return {.name = name, .type = ParamType::real, .initial = initial, .help = help, .least = 0, .most = 1};
}

ParamSpec mode_without_count() {
  auto mode = mode_param("rate", "bits");
  mode.help =
      "rate: every bit independently; nested: the same, and at one trial the faults of a lower rate "
      "are some of those of a higher one";
  mode.choices.pop_back();
  return mode;
}

}  // namespace

AttackEntry stuck_at_entry() {
  return {
      .name = "stuck-at",
      .help = "permanent faults: cells that always hold 0, or 1; bits that are so already do not change",
      .example = "--attack stuck-at --set value=1 --rate 1e-5,1e-4 --format int8 --trials 100",
      .source = "baseline: the stuck-at model",
      .gradient = false,
      .stored_codes = true,
      .quantity = stuck_quantity,
      .params = with_stratum(
          {mode_param("rate", "bits"),
           value_param("what the faulty cells hold; random: each one 0 or 1 with the same probability",
                       {"0", "1", "random"})}),
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<StuckAt>(context);
      },
  };
}

AttackEntry asymmetric_entry() {
  return {
      .name = "asymmetric",
      .help =
          "random faults that depend on the stored bit: 0 becomes 1 and 1 becomes 0 at rates of their own",
      .example = "--attack asymmetric --set p01=0.01 --set p10=1 --rate 1e-5,1e-4 --format int8 --trials 100",
      .source = "baseline: the binary asymmetric channel",
      .gradient = false,
      .stored_codes = true,
      .quantity = asymmetric_quantity,
      .params = with_stratum({mode_without_count(),
                              share("p01", "1", "probability of 0 to become 1, as a share of the rate"),
                              share("p10", "0", "probability of 1 to become 0, as a share of the rate")}),
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<Asymmetric>(context);
      },
  };
}

}  // namespace temblor
