#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/set_options.hpp>

namespace temblor::cli {

std::vector<Option> set_options() {
  return {
      {.name = "ball",
       .value = "NAME",
       .help =
           "linf (absolute change of a weight), relative (to its size), l2 (Frobenius norm a layer), "
           "l2-row (norm of every row), k-weights (--weights of them, each by at most eps) or bits (at most "
           "eps bits of the stored codes inverted)",
       .initial = "linf"},
      {.name = "layers", .value = "LAYERS", .help = "all, or indices joined by +", .initial = "all"},
      {.name = "biases", .value = "", .help = "biases move too"},
      {.name = "weights", .value = "K", .help = "k-weights: how many weights of all layers together change"},
      {.name = "rounding",
       .value = "FORMAT",
       .help = "each weight of these layers also moves by its actual rounding error in this number format: "
               "what holds for the "
               "set holds for the rounded network"},
      {.name = "golden",
       .value = "",
       .help = "prove that the network's own predictions stay, not the labels of the data"},
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

ThreatSet ball_set(const Arguments& arguments, const StoredNetwork& stored, double severity) {
  const Network& network = stored.network;
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
    case Ball::bits: {
      const Format& format = *stored.format;
      const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << format.bits) - 1);
      // Half a flip is none.
      const auto flips = static_cast<std::int64_t>(std::min(severity, 0x1p40));
      return flips_set(network, "format=" + format.name + " bits=all flips", flips, layers,
                       {stored.codes, mask});
    }
    default:
      usage_error("--ball " + to_text(ball), "no bound covers it, or it is not given by one number",
                  "give linf, relative, l2, l2-row, k-weights or bits");
  }
}

}  // namespace

ThreatSet threat_set(const Arguments& arguments, const StoredNetwork& stored, double severity) {
  auto set = ball_set(arguments, stored, severity);
  if (const auto format = arguments.text("rounding")) {
    set = with_rounding(std::move(set), stored.network, find_format(*format));
  }
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

void choose_labels(const Arguments& arguments, const Matrix& logits, Dataset& data) {
  if (!arguments.flag("golden")) return;
  for (Index n = 0; n < logits.rows(); ++n) {
    Index best = 0;
    logits.row(n).maxCoeff(&best);
    data.labels[static_cast<std::size_t>(n)] = static_cast<std::int32_t>(best);
  }
}

std::vector<ThreatSet> threat_sets(const Arguments& arguments, const StoredNetwork& stored) {
  std::vector<ThreatSet> sets;
  for (const double severity : parse_reals(arguments.required("eps"), "--eps", 0.0)) {
    sets.push_back(threat_set(arguments, stored, severity));
    for (std::size_t i = 0; i + 1 < sets.size(); ++i) {
      if (sets[i].key == sets.back().key)
        usage_error("--eps", to_text(severity) + " is given twice", "drop one");
    }
  }
  return sets;
}

}  // namespace temblor::cli
