#include "table.hpp"

#include <temblor/base/error.hpp>
#include <temblor/bounds/exact.hpp>

namespace temblor {
namespace {

ThreatSet box_of(const AttackContext& context) {
  const bool biases = context.params.flag("biases");
  if (parse_ball(context.params.text("ball")) == Ball::relative) {
    return relative_set(context.network, context.severity, context.layers, biases);
  }
  return linf_set(context.network, context.severity, context.layers, biases);
}

ThreatSet make_set(const AttackContext& context) {
  return with_input(box_of(context), context.params.real("input-eps"));
}

/// The member of the set that the bound `exact` ends with, for each image.
class Exact final : public Attack {
 public:
  explicit Exact(const AttackContext& context)
      : network_(&context.network),
        data_(&context.data),
        options_(exact_options(context.params)),
        set_(make_set(context)) {
    if (const auto why = refuses_exact(*network_, set_); !why.empty()) {
      usage_error("attack 'exact'", why, "take weight-pgd");
    }
  }

  Perturbation perturb(const Stream&) const override {
    return {exact_worst(*network_, *data_, set_, false, options_).worst};
  }
  ThreatSet threat() const override { return set_; }
  bool per_sample() const override { return true; }
  bool deterministic() const override { return options_.seconds == 0; }

 private:
  const Network* network_;
  const Dataset* data_;
  ExactOptions options_;
  ThreatSet set_;
};

Quantity quantity(const Params& params) {
  if (parse_ball(params.text("ball")) == Ball::relative) {
    return {"r", "largest change of a weight relative to its magnitude", "", 0, 1e6, false};
  }
  return {"eps", "largest absolute change of a weight", "", 0, 1e6, false};
}

std::unique_ptr<Attack> make(const AttackContext& context) {
  return std::make_unique<Exact>(context);
}

}  // namespace

AttackEntry exact_entry() {
  AttackEntry entry{
      .name = "exact",
      .help = "the worst weights of each image, by branch and bound; small networks or boxes",
      .example = "--attack exact --eps 1e-4 --set nodes=1000 --trials 1",
      .source = "theory, section 4b: the members of the set that the bound exact ends with",
      .gradient = false,
      .stored_codes = false,
      .quantity = quantity,
      .params =
          {
              {.name = "ball",
               .type = ParamType::choice,
               .initial = "linf",
               .help = "set of perturbations: largest absolute or relative change",
               .choices = {"linf", "relative"}},
              {.name = "input-eps",
               .type = ParamType::real,
               .initial = "0",
               .help = "every value of the image moves too, by at most this much, within the range that the "
                       "dataset states",
               .least = 0,
               .most = 1e6},
              {.name = "biases",
               .type = ParamType::flag,
               .initial = "false",
               .help = "biases move too, by the same eps or share"},
          },
      .make = make,
  };
  for (auto& spec : exact_params()) entry.params.push_back(std::move(spec));
  return entry;
}

}  // namespace temblor
