#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/set_options.hpp>

namespace temblor::cli {

std::vector<Option> set_options() {
  return {{.name = "ball",
           .value = "NAME",
           .help = "linf (absolute change of a weight) or relative (to its size)",
           .initial = "linf"},
          {.name = "layers", .value = "LAYERS", .help = "all, or indices joined by +", .initial = "all"},
          {.name = "biases", .value = "", .help = "biases move too"}};
}

Option severity_option(bool required) {
  return {.name = "eps",
          .value = "REALS",
          .help = "severities: numbers and ranges lo:hi:log:n, separated by commas",
          .letter = 'e',
          .required = required};
}

ThreatSet threat_set(const Arguments& arguments, const Network& network, double severity) {
  const Ball ball = parse_ball(arguments.required("ball"));
  const auto layers = parse_layers(arguments.required("layers"), network);
  const bool biases = arguments.flag("biases");
  switch (ball) {
    case Ball::linf:
      return linf_set(network, severity, layers, biases);
    case Ball::relative:
      return relative_set(network, severity, layers, biases);
    default:
      usage_error("--ball " + to_text(ball), "no bound covers it, or it is not given by one number",
                  "give linf or relative");
  }
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
