#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/set_options.hpp>

namespace temblor::cli {

std::vector<Option> set_options() {
  return {
      {.name = "ball",
       .value = "NAME",
       .help = "linf (absolute change of a weight), relative (to its size), l2 (Frobenius norm a layer), "
               "l2-row (norm of every row) or k-weights (--weights of them, each by at most eps)",
       .initial = "linf"},
      {.name = "layers", .value = "LAYERS", .help = "all, or indices joined by +", .initial = "all"},
      {.name = "biases", .value = "", .help = "biases move too"},
      {.name = "weights", .value = "K", .help = "k-weights: how many weights of all layers together change"},
      {.name = "input-eps",
       .value = "REAL",
       .help = "every value of the image moves too, by at most this much (after scaling), within the range "
               "that the dataset states"}};
}

Option severity_option(bool required) {
  return {.name = "eps",
          .value = "REALS",
          .help = "severities: numbers and ranges lo:hi:log:n, separated by commas",
          .letter = 'e',
          .required = required};
}

namespace {

ThreatSet ball_set(const Arguments& arguments, const Network& network, double severity) {
  const Ball ball = parse_ball(arguments.required("ball"));
  const auto layers = parse_layers(arguments.required("layers"), network);
  const bool biases = arguments.flag("biases");
  if (ball == Ball::k_weights) {
    if (!arguments.given("weights")) {
      usage_error("--ball k-weights", "how many weights change is not said", "give --weights K");
    }
    const auto most = network.weight_count() + network.bias_count();
    const auto count = parse_integer(arguments.required("weights"), "--weights", 0, most);
    return k_weights_set(network, count, severity, layers, biases);
  }
  if (arguments.given("weights")) {
    usage_error("--weights", "ball " + to_text(ball) + " counts no weights", "take --ball k-weights");
  }
  switch (ball) {
    case Ball::linf:
      return linf_set(network, severity, layers, biases);
    case Ball::relative:
      return relative_set(network, severity, layers, biases);
    case Ball::l2:
      return l2_set(network, severity, layers, biases);
    case Ball::l2_row:
      return l2_row_set(network, severity, layers, biases);
    default:
      usage_error("--ball " + to_text(ball), "no bound covers it, or it is not given by one number",
                  "give linf, relative, l2, l2-row or k-weights");
  }
}

}  // namespace

ThreatSet threat_set(const Arguments& arguments, const Network& network, double severity) {
  auto set = ball_set(arguments, network, severity);
  const auto input = arguments.text("input-eps");
  return input ? with_input(std::move(set), parse_real(*input, "--input-eps", 0.0, 1e30)) : set;
}

Option bound_params_option() {
  return {.name = "set",
          .value = "BOUND.NAME=VALUE",
          .help = "parameter of a bound (temblor list bounds)",
          .repeat = true};
}

BoundParams bound_params(const Arguments& arguments, const std::vector<std::string>& names) {
  BoundParams params;
  for (const auto& [key, value] : assignments(arguments.all("set"))) {
    set_bound_param(params, names, key, value);
  }
  return params;
}

std::vector<ThreatSet> threat_sets(const Arguments& arguments, const Network& network) {
  std::vector<ThreatSet> sets;
  for (const double severity : parse_reals(arguments.required("eps"), "--eps", 0.0)) {
    sets.push_back(threat_set(arguments, network, severity));
    for (std::size_t i = 0; i + 1 < sets.size(); ++i) {
      if (sets[i].key == sets.back().key)
        usage_error("--eps", to_text(severity) + " is given twice", "drop one");
    }
  }
  return sets;
}

}  // namespace temblor::cli
