#include "k_weights/search.hpp"
#include "table.hpp"

#include <temblor/bounds/enclosure.hpp>

namespace temblor {
namespace {

few::Options make_options(const Params& params, Index classes) {
  few::Options options;
  options.tries = params.integer("tries");
  options.targets = params.text("target") == "all" ? classes - 1 : params.text("target") == "nearest" ? 3 : 1;
  options.steps = params.integer("steps");
  options.sweeps = params.integer("sweeps");
  return options;
}

class KWeights final : public Attack {
 public:
  explicit KWeights(const AttackContext& context)
      : network_(&context.network),
        data_(&context.data),
        sample_(context.params.text("scope") == "sample"),
        options_(make_options(context.params, context.network.classes())),
        set_(k_weights_set(context.network, context.params.integer("weights"), context.severity,
                           context.layers)) {}

  Perturbation perturb(const Stream&) const override {
    if (sample_) {
      const bool chain = refuses_chain(*network_).empty();
      return {chain ? few::per_sample(*network_, *data_, set_, options_)
                    : few::per_sample_graph(*network_, *data_, set_, options_)};
    }
    return {few::universal(*network_, *data_, set_, options_)};
  }
  ThreatSet threat() const override { return set_; }
  bool per_sample() const override { return sample_; }
  bool deterministic() const override { return true; }

 private:
  const Network* network_;
  const Dataset* data_;
  bool sample_;
  few::Options options_;
  ThreatSet set_;
};

Quantity quantity(const Params&) {
  return {"eps", "largest absolute change of each changed weight", "", 0, 1e6, false};
}

}  // namespace

AttackEntry k_weights_entry() {
  return {
      .name = "k-weights",
      .help =
          "a few weights moved as far as allowed, for the whole set (universal) or for each image (sample)",
      .example = "--attack k-weights --eps 0.1 --set weights=5 --trials 1",
      .source = "greedy choice by gradient with exchange; theory, threat sets",
      .gradient = true,
      .stored_codes = false,
      .quantity = quantity,
      .params =
          {
              {.name = "weights",
               .type = ParamType::integer,
               .initial = "1",
               .help = "how many weights of all chosen layers together may move",
               .least = 0,
               .most = 1e9},
              {.name = "scope",
               .type = ParamType::choice,
               .initial = "universal",
               .help = "one choice for the whole set, or one for each image (comparable with bounds)",
               .choices = {"universal", "sample"}},
              {.name = "target",
               .type = ParamType::choice,
               .initial = "nearest",
               .help = "sample: attack the second class, the three nearest, or every other class in turn",
               .choices = {"runner-up", "nearest", "all"}},
              {.name = "tries",
               .type = ParamType::integer,
               .initial = "8",
               .help = "sample: candidates whose margin is computed, for each weight chosen",
               .least = 1,
               .most = 1e6},
              {.name = "steps",
               .type = ParamType::integer,
               .initial = "10",
               .help = "universal: gradients while the choice grows to all its weights",
               .least = 1,
               .most = 1e6},
              {.name = "sweeps",
               .type = ParamType::integer,
               .initial = "2",
               .help = "rounds in which chosen weights are exchanged",
               .least = 0,
               .most = 1e6},
          },
      .make = [](const AttackContext& context) -> std::unique_ptr<Attack> {
        return std::make_unique<KWeights>(context);
      },
  };
}

}  // namespace temblor
