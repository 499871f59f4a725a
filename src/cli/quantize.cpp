#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/stored.hpp>
#include <temblor/report/table.hpp>
#include <temblor/stats/proportion.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor::cli {
namespace {

using nlohmann::ordered_json;

constexpr std::array levels{0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0};

/// Bits a device needs for one network.
struct Size {
  std::int64_t codes = 0;  ///< of weights, floats where there are no codes
  std::int64_t metadata = 0;
  std::int64_t biases = 0;

  std::int64_t total() const { return codes + metadata + biases; }
};

Size size_of(const Network& network) {
  Size size;
  size.biases = 32 * network.bias_count();
  for (int layer = 0; layer < network.layers(); ++layer) {
    if (const Encoded* codes = network.codes(layer)) {
      const auto own = static_cast<std::int64_t>(codes->codes.size()) * codes->format->bits;
      size.codes += own;
      size.metadata += static_cast<std::int64_t>(codes->stored_bits()) - own;
    } else {
      size.codes += 32 * network.weights(layer).weight.size();
    }
  }
  return size;
}

/// Before and after on the same images.
struct Comparison {
  std::int64_t images = 0;
  std::array<std::int64_t, 2> correct{};
  std::array<std::int64_t, 2> no_prediction{};
  std::int64_t changed = 0;
  std::int64_t broken = 0;
  std::int64_t fixed = 0;
  std::array<std::vector<double>, 2> margins{};
  std::vector<double> drops{};  ///< of images with both predictions
};

Comparison compare(const Network& before, const Network& after, const Dataset& data) {
  const std::array outputs = {logits(before, before.view(), data.images, true),
                              logits(after, after.view(), data.images, true)};
  Comparison result;
  result.images = data.size();
  const Index classes = outputs[0].cols();
  for (Index i = 0; i < data.size(); ++i) {
    const std::int32_t label = data.labels[static_cast<std::size_t>(i)];
    std::array<std::int32_t, 2> predicted{};
    std::array<double, 2> margins{};
    for (std::size_t k = 0; k < 2; ++k) {
      const float* row = outputs[k].row(i).data();
      predicted[k] = predict(row, classes);
      margins[k] = margin(row, classes, label);
      result.correct[k] += predicted[k] == label;
      result.no_prediction[k] += predicted[k] < 0;
      if (predicted[k] >= 0) result.margins[k].push_back(margins[k]);
    }
    if (predicted[0] >= 0 && predicted[1] >= 0) {
      result.changed += predicted[0] != predicted[1];
      result.drops.push_back(margins[0] - margins[1]);
    }
    result.broken += predicted[0] == label && predicted[1] != label;
    result.fixed += predicted[0] != label && predicted[1] == label;
  }
  return result;
}

Table layer_table_of(const Network& before, const Network& after) {
  Table table{{{"layer"},
               {"name"},
               {"format"},
               {"weights"},
               {"bits"},
               {"scales"},
               {"largest scale"},
               {"largest error"},
               {"rms error"}},
              {}};
  for (int layer = 0; layer < after.layers(); ++layer) {
    const auto& old = before.weights(layer).weight;
    const MatrixD error = after.weights(layer).weight.cast<double>() - old.cast<double>();
    const Encoded* codes = after.codes(layer);
    const std::int64_t weights = old.size();
    std::vector<Cell> row{std::int64_t{layer}, after.layer_name(layer),
                          codes == nullptr ? "float" : codes->format->name, weights,
                          codes == nullptr ? 32 * weights : static_cast<std::int64_t>(codes->stored_bits())};
    const bool scaled = codes != nullptr && !codes->scale.empty();
    row.push_back(scaled ? Cell(static_cast<std::int64_t>(codes->scale.size())) : Cell());
    row.push_back(scaled
                      ? Cell(static_cast<double>(*std::max_element(codes->scale.begin(), codes->scale.end())))
                      : Cell());
    row.emplace_back(error.cwiseAbs().maxCoeff());
    row.emplace_back(std::sqrt(error.squaredNorm() / static_cast<double>(weights)));
    table.add(std::move(row));
  }
  return table;
}

Table margin_table(const Comparison& result) {
  Table table{{{"level"}, {"before"}, {"after"}, {"drop"}}, {}};
  const auto values = [&](const std::vector<double>& sample) {
    return sample.empty() ? std::vector<double>(levels.size(), std::nan("")) : quantiles(sample, levels);
  };
  const auto before = values(result.margins[0]);
  const auto after = values(result.margins[1]);
  const auto drop = values(result.drops);
  for (std::size_t i = 0; i < levels.size(); ++i) table.add({levels[i], before[i], after[i], drop[i]});
  return table;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? std::nan("") : static_cast<double>(part) / static_cast<double>(whole);
}

std::string percent(double value) {
  return to_text(std::round(value * 10000) / 100) + " %";
}

std::string accuracy_text(std::int64_t correct, std::int64_t images) {
  const auto interval = wilson(correct, images);
  return percent(share(correct, images)) + " (" + std::to_string(correct) + " of " + std::to_string(images) +
         "), 95 % interval (Wilson) " + percent(interval.lower) + " to " + percent(interval.upper);
}

std::string rounding_text(const std::optional<std::uint64_t>& seed) {
  return seed ? "stochastic, seed " + std::to_string(*seed) : "nearest";
}

struct Report {
  std::string input;
  std::string output;
  std::string format;
  std::string rounding;
  Size before;
  Size after;
  Table layers;
  std::optional<Comparison> comparison;
};

void print(std::ostream& out, const Report& report, const Network& network, const std::string& data) {
  out << "network        " << report.output << ": " << network.summary() << ", from " << report.input << '\n'
      << "format         " << report.format << ", rounding " << report.rounding << '\n'
      << "size           " << report.after.total() << " bits (codes " << report.after.codes
      << ", scales and zero "
      << "points " << report.after.metadata << ", biases " << report.after.biases << "), "
      << percent(share(report.after.total(), report.before.total())) << " of " << report.before.total()
      << '\n';
  if (report.comparison) {
    const auto& result = *report.comparison;
    out << "data           " << data << '\n'
        << "before         " << accuracy_text(result.correct[0], result.images) << '\n'
        << "after          " << accuracy_text(result.correct[1], result.images) << '\n'
        << "changed        " << result.changed << " predictions; " << result.broken << " broken, "
        << result.fixed << " fixed, " << result.no_prediction[1] << " without prediction\n\n"
        << "Margins, logit of the label minus largest other, and drops image by image: quantiles\n";
    write_text(out, margin_table(result));
  }
  out << "\nLayers\n";
  write_text(out, report.layers);
}

ordered_json size_json(const Size& size) {
  return {
      {"bits", size.total()}, {"codes", size.codes}, {"metadata", size.metadata}, {"biases", size.biases}};
}

ordered_json table_json(const Table& table) {
  std::ostringstream text;
  write(text, table, TableFormat::json);
  return ordered_json::parse(text.str());
}

void print_json(std::ostream& out, const Report& report, const Network& network) {
  ordered_json json = {{"file", report.output},
                       {"id", network.id()},
                       {"from", report.input},
                       {"format", report.format},
                       {"rounding", report.rounding},
                       {"before", size_json(report.before)},
                       {"after", size_json(report.after)},
                       {"layers", table_json(report.layers)}};
  if (report.comparison) {
    const auto& result = *report.comparison;
    json["images"] = result.images;
    for (std::size_t k = 0; k < 2; ++k) {
      const auto interval = wilson(result.correct[k], result.images);
      auto& side = json[k == 0 ? "before" : "after"];
      side["correct"] = result.correct[k];
      side["no_prediction"] = result.no_prediction[k];
      side["accuracy"] = share(result.correct[k], result.images);
      side["accuracy_interval"] = {
          {"lower", interval.lower}, {"upper", interval.upper}, {"confidence", 0.95}, {"method", "wilson"}};
    }
    json["changed"] = result.changed;
    json["broken"] = result.broken;
    json["fixed"] = result.fixed;
    json["margins"] = table_json(margin_table(result));
  }
  out << json.dump(2, ' ', false, ordered_json::error_handler_t::replace) << '\n';
}

std::optional<std::uint64_t> seed_of(const Arguments& arguments) {
  const auto rounding = arguments.required("rounding");
  if (rounding != "nearest" && rounding != "stochastic") {
    unknown_name("rounding", rounding, {"nearest", "stochastic"});
  }
  if (rounding == "stochastic") {
    return static_cast<std::uint64_t>(parse_integer(arguments.required("seed"), "--seed", 0));
  }
  if (arguments.given("seed"))
    usage_error("--seed", "rounding to nearest draws nothing", "add --rounding stochastic");
  return std::nullopt;
}

int run_quantize(const Arguments& arguments, const Streams& streams) {
  const std::string input = arguments.required("network");
  const std::string output = arguments.required("output");
  const auto& format = find_format(arguments.required("format"));
  const auto seed = seed_of(arguments);
  const auto dataset = arguments.text("dataset");
  for (const auto* name : {"split", "select", "data-dir"}) {
    if (!dataset && arguments.given(name))
      usage_error("--" + std::string(name), "there is no data set", "add --dataset");
  }
  check_output(output, "temblor-network", {input});
  const Network network = load_network(input);
  const Network quantised =
      quantise(network, format, parse_layers(arguments.required("layers"), network), seed);

  Report report{input,
                output,
                format.name,
                rounding_text(seed),
                size_of(network),
                size_of(quantised),
                layer_table_of(network, quantised),
                std::nullopt};
  std::string data_text;
  if (dataset) {
    const Dataset data = load_dataset(data_request(arguments), network.scaling());
    check_fits(network, input, data);
    report.comparison = compare(network, quantised, data);
    data_text = data.name + ", " + split_name(data.split) + ", " + data.select;
  }
  save_network(quantised, output,
               {{"command", arguments.command_line},
                {"from", network.id()},
                {"format", report.format},
                {"rounding", report.rounding}});
  if (arguments.flag("json")) {
    print_json(streams.out, report, quantised);
  } else {
    print(streams.out, report, quantised, data_text);
  }
  return 0;
}

}  // namespace

Subcommand quantize_command() {
  Subcommand command{
      .name = "quantize",
      .help = "a network with its weights stored in a number format",
      .details =
          "Encodes the weights of a network and writes a network file that holds codes, scales and zero "
          "points "
          "in place of floats. Every command reads it like any other network: it computes with the decoded "
          "weights, and campaigns in the file's own format fault the stored codes as they are. Biases stay "
          "float32.\n"
          "Prints the size in bits and the rounding errors of each layer; with a data set accuracy, changed "
          "predictions and margins before and after as well. A weight outside the format's range is refused.",
      .examples =
          {"temblor quantize --network net.h5 --format int8 --dataset fashion-mnist -o net_int8.h5",
           "temblor quantize --network net.h5 --format int4-channel --rounding stochastic --seed 7 -o "
           "net_int4.h5"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true},
           {.name = "format",
            .value = "NAME",
            .help = "number format (temblor list formats)",
            .required = true},
           {.name = "layers",
            .value = "LIST",
            .help = "layers to store, as in 0,2 or names",
            .initial = "all"},
           {.name = "rounding",
            .value = "HOW",
            .help = "nearest (ties to even) or stochastic",
            .initial = "nearest"},
           {.name = "seed", .value = "N", .help = "of stochastic rounding", .initial = "1"},
           {.name = "output",
            .value = "FILE",
            .help = "network file to write",
            .letter = 'o',
            .required = true}},
      .run = run_quantize};
  for (auto& option : data_options()) {
    option.required = false;
    command.options.push_back(std::move(option));
  }
  command.options.push_back({.name = "json", .value = "", .help = "print JSON instead of text"});
  return command;
}

}  // namespace temblor::cli
