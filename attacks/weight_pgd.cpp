#include "table.hpp"

#include <algorithm>

#include <temblor/attacks/pgd.hpp>
#include <temblor/base/error.hpp>
#include <temblor/bounds/exact.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor {
namespace {

constexpr std::int64_t usual_search = 30;
constexpr Index most_units = 256;     // hidden ones of networks that the search is meant for
constexpr double radii_walked = 2.5;  // steps * step when the step is left to us, as Madry et al. walk

void refuse(const std::string& parameter, const std::string& why, const std::string& cure) {
  usage_error("attack 'weight-pgd', " + parameter, why, cure);
}

bool boxes(const Params& params) {
  return !params.text("ball").starts_with("l2");
}

void check_relations(const Params& params) {
  if (params.text("scope") == "sample") {
    if (params.integer("batch") != 0) {
      refuse("batch", "every image has its own perturbation", "leave batch out, or take scope=universal");
    }
    if (params.text("keep") != "loss") {
      refuse("keep=accuracy", "every image has its own perturbation",
             "leave keep out, or take scope=universal");
    }
    if (params.text("target") == "all" && params.text("loss") == "cross-entropy") {
      refuse("target=all", "cross-entropy attacks no single class", "take loss=margin");
    }
    if (!boxes(params) && params.integer("search") > 0) {
      refuse("search", "the bound exact is for boxes", "leave search out, or take ball=linf");
    }
    if (params.text("ball") == "l2" && params.integer("polish") > 0) {
      refuse("polish", "the l2 ball has no corners", "leave polish out, or take ball=linf");
    }
  } else {
    if (params.text("target") == "all") {
      refuse("target=all", "one perturbation for all images has no target class", "take scope=sample");
    }
    if (params.integer("polish") > 0) refuse("polish", "it works image by image", "take scope=sample");
    if (params.integer("search") > 0) refuse("search", "it works image by image", "take scope=sample");
    if (params.real("input-eps") > 0) refuse("input-eps", "it works image by image", "take scope=sample");
    if (params.text("ball") == "l2-row")
      refuse("ball=l2-row", "it works image by image", "take scope=sample");
    if (params.real("soft") > 0) refuse("soft", "it works image by image", "take scope=sample");
  }
  if (params.integer("restarts") > 1 && !params.flag("random-start") && params.integer("batch") == 0) {
    refuse("restarts", "without a random start every ascent is the same",
           "take restarts=1, or random-start=true");
  }
  if (params.text("ball").starts_with("l2") && params.flag("biases")) {
    refuse("biases=true", "on l2 balls it moves weights only", "leave biases out, or take ball=linf");
  }
}

ThreatSet ball_set(const AttackContext& context) {
  const bool biases = context.params.flag("biases");
  switch (parse_ball(context.params.text("ball"))) {
    case Ball::relative:
      return relative_set(context.network, context.severity, context.layers, biases);
    case Ball::l2:
      return l2_set(context.network, context.severity, context.layers);
    case Ball::l2_row:
      return l2_row_set(context.network, context.severity, context.layers);
    default:
      return linf_set(context.network, context.severity, context.layers, biases);
  }
}

ThreatSet make_set(const AttackContext& context) {
  return with_input(ball_set(context), context.params.real("input-eps"));
}

/// `chain`: the bound exact applies. `own`: layers move that are not dense.
pgd::Options make_options(const Params& params, bool chain, bool own, Index hidden_units) {
  const bool sample = params.text("scope") == "sample";
  const std::string& loss = params.text("loss");
  const std::string& gradient = params.text("gradient");
  pgd::Options options;
  const bool margin = loss == "margin" || (loss == "auto" && sample);
  options.loss = margin ? pgd::Loss::margin : pgd::Loss::cross_entropy;
  const bool normalised = gradient == "normalised" || (gradient == "auto" && params.text("ball") == "l2");
  options.direction = normalised ? pgd::Direction::normalised : pgd::Direction::sign;
  const std::string& target = params.text("target");
  options.target = target == "all"       ? pgd::Target::all
                   : target == "nearest" ? pgd::Target::nearest
                                         : pgd::Target::runner_up;
  const bool small = chain && params.real("input-eps") == 0 && hidden_units <= most_units;
  options.search = params.integer("search");
  if (options.search < 0) options.search = sample && small ? usual_search : 0;
  const bool box = params.text("ball") != "l2";
  // Without the quick polish for chains a sweep costs a forward pass a unit.
  const bool quick = boxes(params) && (chain || params.real("input-eps") == 0);
  const int default_polish = !sample || !box || own ? 0 : quick ? 10 : 2;
  options.soft = params.real("soft") < 0 ? 0.5 : params.real("soft");
  options.polish = params.integer("polish") < 0 ? default_polish : params.integer("polish");
  options.steps = params.integer("steps");
  options.step = params.real("step");
  if (options.step == 0) options.step = radii_walked / static_cast<double>(options.steps);
  options.restarts = params.integer("restarts");
  options.random_start = params.flag("random-start");
  options.batch = params.integer("batch");
  options.keep_accuracy = params.text("keep") == "accuracy";
  return options;
}

Index hidden_units(const Network& network) {
  Index units = 0;
  for (int layer = 0; layer + 1 < network.layers(); ++layer) units += network.weights(layer).weight.rows();
  return units;
}

bool own_weights_move(const Network& network, const ThreatSet& set) {
  return std::any_of(set.layers.begin(), set.layers.end(),
                     [&](int layer) { return !one_number_a_unit(network, layer); });
}

class WeightPgd final : public Attack {
 public:
  explicit WeightPgd(const AttackContext& context)
      : network_(&context.network),
        data_(&context.data),
        sample_(context.params.text("scope") == "sample"),
        set_(make_set(context)),
        options_(make_options(context.params, refuses_exact(*network_, set_).empty(),
                              own_weights_move(*network_, set_), hidden_units(context.network))) {
    if (!sample_) return;
    pgd::check_per_sample(*network_, *data_, set_);
    if (options_.search == 0) return;
    if (const auto why = refuses_exact(*network_, set_); !why.empty()) {
      refuse("search", why, "leave search out");
    }
  }

  Perturbation perturb(const Stream& stream) const override {
    if (sample_) return {pgd::per_sample(*network_, *data_, set_, options_, stream)};
    return {pgd::universal(*network_, *data_, set_, options_, stream)};
  }
  ThreatSet threat() const override { return set_; }
  bool per_sample() const override { return sample_; }
  bool deterministic() const override { return !options_.random_start && options_.batch == 0; }

 private:
  const Network* network_;
  const Dataset* data_;
  bool sample_;
  ThreatSet set_;
  pgd::Options options_;
};

Quantity quantity(const Params& params) {
  switch (parse_ball(params.text("ball"))) {
    case Ball::relative:
      return {"r", "largest change of a weight relative to its magnitude", "", 0, 1e6, false};
    case Ball::l2:
    case Ball::l2_row:
      return {"radius", "Frobenius norm of each layer's change (l2-row: norm of each row's)", "", 0, 1e6,
              false};
    default:
      return {"eps", "largest absolute change of a weight", "", 0, 1e6, false};
  }
}

std::unique_ptr<Attack> make(const AttackContext& context) {
  check_relations(context.params);
  return std::make_unique<WeightPgd>(context);
}

}  // namespace

AttackEntry weight_pgd_entry() {
  const double most_steps = 1e6;
  return {
      .name = "weight-pgd",
      .help =
          "projected gradient ascent on the weights, for the whole set (universal) or for each image "
          "(sample)",
      .example = "--attack weight-pgd --eps 1e-3 --set steps=20 --trials 1",
      .source = "Madry et al., ICLR 2018, on weights; per sample: theory, section 4b",
      .gradient = true,
      .stored_codes = false,
      .quantity = quantity,
      .params =
          {
              {.name = "ball",
               .type = ParamType::choice,
               .initial = "linf",
               .help =
                   "set of perturbations: largest absolute or relative change, Frobenius norm a layer, or "
                   "norm a row",
               .choices = {"linf", "relative", "l2", "l2-row"}},
              {.name = "input-eps",
               .type = ParamType::real,
               .initial = "0",
               .help =
                   "sample: every value of the image moves too, by at most this much, within the range that "
                   "the dataset states",
               .least = 0,
               .most = 1e6},
              {.name = "scope",
               .type = ParamType::choice,
               .initial = "universal",
               .help = "one perturbation for the whole set, or one for each image (comparable with bounds)",
               .choices = {"universal", "sample"}},
              {.name = "steps",
               .type = ParamType::integer,
               .initial = "100",
               .help = "gradient steps a restart",
               .least = 1,
               .most = most_steps},
              {.name = "step",
               .type = ParamType::real,
               .initial = "0",
               .help = "step size; 0 stands for 2.5 / steps",
               .unit = "radius",
               .least = 0,
               .most = 1e6},
              {.name = "restarts",
               .type = ParamType::integer,
               .initial = "1",
               .help = "ascents a trial; the worst of all is kept",
               .least = 1,
               .most = most_steps},
              {.name = "random-start",
               .type = ParamType::flag,
               .initial = "true",
               .help = "begin at random in the set instead of at the network's weights"},
              {.name = "gradient",
               .type = ParamType::choice,
               .initial = "auto",
               .help =
                   "step along the sign or along the normalised gradient; auto: normalised for l2, else sign",
               .choices = {"auto", "sign", "normalised"}},
              {.name = "loss",
               .type = ParamType::choice,
               .initial = "auto",
               .help = "what to climb; auto: cross-entropy if universal, margin if for each image",
               .choices = {"auto", "cross-entropy", "margin"}},
              {.name = "target",
               .type = ParamType::choice,
               .initial = "nearest",
               .help =
                   "for each image, margin loss: attack the second class, the three nearest, or every other "
                   "class in turn",
               .choices = {"runner-up", "nearest", "all"}},
              {.name = "soft",
               .type = ParamType::real,
               .initial = "-1",
               .help =
                   "for each image: share of the steps with relaxed slopes of ReLUs that can switch; -1: 0.5",
               .least = -1,
               .most = 1},
              {.name = "polish",
               .type = ParamType::integer,
               .initial = "-1",
               .help = "for each image, not l2: sweeps that move one unit of a dense layer at a time to "
                       "another end; -1: 10, or 2 for l2-row, and with input-eps where layers are no chain "
                       "with ReLU; 0 where other than dense layers move",
               .unit = "sweeps",
               .least = -1,
               .most = most_steps},
              {.name = "search",
               .type = ParamType::integer,
               .initial = "-1",
               .help =
                   "for each image, not l2 balls, chains with ReLU: subproblems of the bound exact a pair; "
                   "its members compete; -1: 30 up to 256 hidden units where images stay, else 0",
               .unit = "nodes",
               .least = -1,
               .most = 1e9},
              {.name = "keep",
               .type = ParamType::choice,
               .initial = "loss",
               .help = "universal: keep the highest mean loss, or the lowest accuracy; for each image: "
                       "lowest margin",
               .choices = {"loss", "accuracy"}},
              {.name = "batch",
               .type = ParamType::integer,
               .initial = "0",
               .help = "universal: images a step; 0 stands for all",
               .unit = "images",
               .least = 0,
               .most = 1e9},
              {.name = "biases",
               .type = ParamType::flag,
               .initial = "false",
               .help = "biases move too, by the same eps or share"},
          },
      .make = make,
  };
}

}  // namespace temblor
