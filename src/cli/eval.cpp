#include <algorithm>
#include <array>
#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/file.hpp>
#include <temblor/report/table.hpp>
#include <temblor/stats/estimate.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor::cli {
namespace {

constexpr std::array levels{0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0};

struct ClassCount {
  std::int64_t images = 0;
  std::int64_t correct = 0;
};

struct Evaluation {
  std::int64_t images = 0;
  std::int64_t correct = 0;
  std::int64_t no_prediction = 0;
  std::vector<double> margins{};  ///< of images with a prediction
  std::vector<ClassCount> classes{};
};

Evaluation evaluate(const Network& network, const Dataset& data) {
  const Matrix outputs = logits(network, network.view(), data.images, true);
  Evaluation result;
  result.images = data.size();
  result.classes.resize(static_cast<std::size_t>(data.classes));
  for (Index i = 0; i < data.size(); ++i) {
    const std::int32_t label = data.labels[static_cast<std::size_t>(i)];
    const float* row = outputs.row(i).data();
    const std::int32_t predicted = predict(row, outputs.cols());
    ClassCount& count = result.classes[static_cast<std::size_t>(label)];
    ++count.images;
    if (predicted < 0) {
      ++result.no_prediction;
      continue;
    }
    if (predicted == label) ++count.correct, ++result.correct;
    result.margins.push_back(margin(row, outputs.cols(), label));
  }
  return result;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? std::nan("") : static_cast<double>(part) / static_cast<double>(whole);
}

Table quantile_table(const Evaluation& result) {
  Table table{{{"level"}, {"margin"}}, {}};
  if (result.margins.empty()) return table;
  const auto values = quantiles(result.margins, levels);
  for (std::size_t i = 0; i < levels.size(); ++i) table.add({levels[i], values[i]});
  return table;
}

Table class_table(const Evaluation& result, IntervalMethod method) {
  Table table{{{"class"}, {"images"}, {"correct"}, {"accuracy"}, {"lower"}, {"upper"}}, {}};
  for (std::size_t c = 0; c < result.classes.size(); ++c) {
    const auto& [images, correct] = result.classes[c];
    const ConfidenceInterval interval = event_share(correct, images, method).interval;
    Cell accuracy;
    if (images > 0) accuracy = share(correct, images);
    table.add({static_cast<std::int64_t>(c), images, correct, accuracy, interval.lower, interval.upper});
  }
  return table;
}

std::string percent(double value) {
  return to_text(std::round(value * 10000) / 100) + " %";
}

void print(std::ostream& out, const std::string& file, const Network& network, const Dataset& data,
           const Evaluation& result, IntervalMethod method) {
  const ConfidenceInterval interval = event_share(result.correct, result.images, method).interval;
  out << "network        " << file << ": " << network.summary() << '\n'
      << "data           " << data.name << ", " << split_name(data.split) << ", " << data.select << ": "
      << result.images << " images of " << data.shape.text() << '\n'
      << "accuracy       " << percent(share(result.correct, result.images)) << " (" << result.correct
      << " of " << result.images << "), 95 % interval ("
      << (method == IntervalMethod::wilson ? "Wilson" : "Clopper-Pearson") << ") " << percent(interval.lower)
      << " to " << percent(interval.upper) << '\n'
      << "no prediction  " << result.no_prediction << " (a logit is not finite)\n\n"
      << "Margins, logit of the label minus largest other, quantiles over images with a prediction\n";
  write_text(out, quantile_table(result));
  out << "\nClasses\n";
  write_text(out, class_table(result, method));
}

void print_json(std::ostream& out, const std::string& file, const Network& network, const Dataset& data,
                const Evaluation& result, IntervalMethod method) {
  using nlohmann::ordered_json;
  const ConfidenceInterval interval = event_share(result.correct, result.images, method).interval;
  ordered_json json;
  json["network"] = {{"file", file}, {"id", network.id()}, {"summary", network.summary()}};
  json["dataset"] = {{"name", data.name},
                     {"split", split_name(data.split)},
                     {"select", data.select},
                     {"id", data.id},
                     {"files", data.files}};
  json["images"] = result.images;
  json["correct"] = result.correct;
  json["no_prediction"] = result.no_prediction;
  json["accuracy"] = share(result.correct, result.images);
  json["accuracy_interval"] = {{"lower", interval.lower},
                               {"upper", interval.upper},
                               {"confidence", 0.95},
                               {"method", to_text(method)}};
  ordered_json margins = ordered_json::array();
  if (!result.margins.empty()) {
    const auto values = quantiles(result.margins, levels);
    for (std::size_t i = 0; i < levels.size(); ++i)
      margins.push_back({{"level", levels[i]}, {"margin", values[i]}});
  }
  json["margins"] = margins;
  json["classes"] = ordered_json::array();
  for (std::size_t c = 0; c < result.classes.size(); ++c) {
    const auto& [images, correct] = result.classes[c];
    const ConfidenceInterval limits = event_share(correct, images, method).interval;
    json["classes"].push_back({{"class", c},
                               {"images", images},
                               {"correct", correct},
                               {"lower", limits.lower},
                               {"upper", limits.upper}});
  }
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

int run_eval(const Arguments& arguments, const Streams& streams) {
  const auto method = parse_interval(arguments.required("interval"), "value of --interval");
  const std::string file = arguments.required("network");
  const Network network = load_network(file);
  const Dataset data = load_dataset(data_request(arguments), network.scaling());
  check_fits(network, file, data);
  const Evaluation result = evaluate(network, data);
  if (arguments.flag("json")) {
    print_json(streams.out, file, network, data, result, method);
  } else {
    print(streams.out, file, network, data, result, method);
  }
  return 0;
}

}  // namespace

Subcommand eval_command() {
  Subcommand command{
      .name = "eval",
      .help = "accuracy and margins of a network on a data set",
      .details =
          "Runs the network on every chosen image and counts right predictions, with a 95 % interval "
          "(Wilson's, or Clopper and Pearson's on request), for all images and for each class. The margin of "
          "an image is the logit of its label minus "
          "the largest other logit: it is positive when the prediction is right. Images with a logit that is "
          "not finite have no prediction; they count as wrong and have no margin.",
      .examples = {"temblor eval --network net.h5 --dataset fashion-mnist",
                   "temblor eval --network net.h5 --dataset points.csv --select first:100 --json"},
      .positionals = {},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true}},
      .run = run_eval};
  for (auto& option : data_options()) command.options.push_back(std::move(option));
  command.options.push_back(interval_option());
  command.options.push_back({.name = "json", .value = "", .help = "print JSON instead of text"});
  return command;
}

}  // namespace temblor::cli
