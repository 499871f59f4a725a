#include <algorithm>
#include <chrono>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <set>
#include <sstream>

#include <tbb/global_control.h>
#include <tbb/info.h>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/interrupt.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/network/file.hpp>
#include <temblor/stats/proportion.hpp>
#include <temblor/train/trainer.hpp>

namespace temblor::cli {
namespace {

using Given = std::map<std::string, std::string>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string fixed(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::string percent(double share) {
  return fixed(100 * share, 2) + " %";
}

/// Every parameter of the optimisers, schedules and losses, with the names of those that have it.
std::vector<std::pair<ParamSpec, std::string>> plugin_params() {
  std::vector<std::pair<ParamSpec, std::string>> all;
  const auto add = [&](const std::string& owner, const std::vector<ParamSpec>& specs) {
    for (const auto& spec : specs) {
      const std::string of = owner + ": " + (spec.choices.empty() ? spec.initial : join(spec.choices, " | "));
      const auto same =
          std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.first.name == spec.name; });
      if (same == all.end()) {
        all.emplace_back(spec, of);
      } else {
        same->second += "; " + of;
      }
    }
  };
  for (const auto& entry : optimizer_table()) add(entry.name, entry.params);
  for (const auto& entry : schedule_table()) add(entry.name, entry.params);
  for (const auto& entry : loss_table()) add(entry.name, entry.params);
  return all;
}

/// Options given on the command line that belong to a plug-in of the kind whose table is `table`.
template <class Table>
Given given_of(const Arguments& arguments, const Table& table) {
  Given given;
  for (const auto& entry : table) {
    for (const auto& spec : entry.params) {
      if (arguments.given(spec.name)) given[spec.name] = arguments.required(spec.name);
    }
  }
  return given;
}

/// Parameters of the loss: by the options of their names, or by --set.
Given loss_params(const Arguments& arguments) {
  Given given = given_of(arguments, loss_table());
  for (const auto& [name, value] : assignments(arguments.all("set"))) {
    if (!given.emplace(name, value).second) {
      usage_error("--set " + name, "--" + name + " is given as well", "leave one out");
    }
  }
  return given;
}

std::string placeholder(const ParamSpec& spec) {
  if (spec.type == ParamType::integer) return "N";
  return spec.type == ParamType::real ? "REAL" : "NAME";
}

template <class Table>
std::string names_of(const Table& table) {
  std::vector<std::string> names;
  for (const auto& entry : table) names.push_back(entry.name);
  return join(names, ", ");
}

std::vector<std::string> activations() {
  std::vector<std::string> names;
  for (const auto& entry : layer_table()) {
    if (!entry.weighted && entry.options.empty() && make_layer(entry.name)->elementwise())
      names.push_back(entry.name);
  }
  return names;
}

std::string activation_of(const Arguments& arguments) {
  const std::string name = arguments.required("activation");
  const auto known = activations();
  if (std::find(known.begin(), known.end(), name) == known.end()) unknown_name("activation", name, known);
  return name;
}

/// --batch-norm; auto is what the architecture says.
bool batch_norm_of(const Arguments& arguments) {
  const std::string choice = arguments.required("batch-norm");
  if (choice == "on" || choice == "off") return choice == "on";
  if (choice != "auto") unknown_name("--batch-norm", choice, {"auto", "on", "off"});
  const std::string arch = arguments.required("arch");
  return !is_sizes(arch) && find_architecture(arch).batch_norm;
}

TrainingPlan plan_of(const Arguments& arguments) {
  TrainingPlan plan;
  plan.epochs = parse_integer(arguments.required("epochs"), "--epochs", 1, 1'000'000);
  plan.batch = static_cast<Index>(parse_integer(arguments.required("batch"), "--batch", 1, 1 << 30));
  plan.seed = static_cast<std::uint64_t>(parse_integer(arguments.required("seed"), "--seed", 0));
  const LossEntry& loss = find_loss(plan.loss = arguments.required("loss"));
  plan.loss_params = Params("loss '" + loss.name + "'", loss.params, loss_params(arguments));
  const OptimizerEntry& optimizer = find_optimizer(plan.optimizer = arguments.required("optimizer"));
  plan.optimizer_params =
      Params("optimizer '" + optimizer.name + "'", optimizer.params, given_of(arguments, optimizer_table()));
  const ScheduleEntry& schedule = find_schedule(plan.schedule = arguments.required("schedule"));
  plan.schedule_params =
      Params("schedule '" + schedule.name + "'", schedule.params, given_of(arguments, schedule_table()));
  plan.rate = optimizer.rate;
  if (const auto rate = arguments.text("lr")) plan.rate = parse_real(*rate, "--lr", 1e-12, 1e12);
  if (const auto clip = arguments.text("clip-weights")) {
    plan.clip = parse_real(*clip, "--clip-weights", 1e-12, 1e12);
  }
  plan.batch_norm = batch_norm_of(arguments);
  return plan;
}

InputScaling scaling_of(const Arguments& arguments) {
  InputScaling scaling;
  if (const auto scale = arguments.text("scale")) scaling.scale = parse_real(*scale, "--scale", 1e-30, 1e30);
  if (const auto mean = arguments.text("mean")) scaling.mean = parse_reals(*mean, "--mean");
  if (const auto deviation = arguments.text("std")) scaling.std = parse_reals(*deviation, "--std", 1e-30);
  return scaling;
}

/// "test accuracy 88.54 % (8854 of 10000; 95 % Wilson interval 87.90 % to 89.15 %)"
std::string accuracy_text(const std::string& what, std::int64_t correct, std::int64_t images) {
  const ConfidenceInterval interval = wilson(correct, images);
  return what + " " + percent(static_cast<double>(correct) / static_cast<double>(images)) + " (" +
         std::to_string(correct) + " of " + std::to_string(images) + "; 95 % Wilson interval " +
         percent(interval.lower) + " to " + percent(interval.upper) + ")";
}

/// Words on standard error: one line an epoch, and on a terminal a line that is redrawn while it lasts.
class Progress {
 public:
  Progress(const Streams& streams, std::int64_t epochs) : streams_(&streams), epochs_(epochs) {}

  void batch(std::int64_t epoch, std::int64_t done, std::int64_t batches) {
    if (!streams_->terminal || seconds_since(drawn_) < 0.1) return;
    drawn_ = Clock::now();
    streams_->err << "\r\033[Kepoch " << epoch << "/" << epochs_ << ": " << 100 * done / batches << " %"
                  << std::flush;
  }

  void epoch(const EpochReport& report, const std::string& test) {
    if (streams_->terminal) streams_->err << "\r\033[K";
    streams_->err << "epoch " << report.epoch << "/" << epochs_ << ": loss " << fixed(report.loss(), 4)
                  << ", training accuracy " << percent(report.accuracy()) << test << ", "
                  << fixed(seconds_since(started_), 1) << " s" << std::endl;
    started_ = Clock::now();
  }

  void clear() const {
    if (streams_->terminal) streams_->err << "\r\033[K" << std::flush;
  }

 private:
  const Streams* streams_;
  std::int64_t epochs_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point drawn_ = Clock::now();
};

Provenance provenance_of(const TrainingPlan& plan, const Dataset& data, const EpochReport& last,
                         const std::string& result) {
  const auto named = [](const std::string& name, const Params& params) {
    const std::string rest = params.canonical();
    return rest.empty() ? name : name + " " + rest;
  };
  return {{"made_by", "temblor " + build_info().version + " (" + build_info().git + ") train"},
          {"dataset", data.name + " train " + data.select + ", " + std::to_string(data.size()) + " images"},
          {"dataset_id", data.id},
          {"loss", named(plan.loss, plan.loss_params)},
          {"optimizer", named(plan.optimizer, plan.optimizer_params)},
          {"learning_rate", to_text(plan.rate)},
          {"schedule", named(plan.schedule, plan.schedule_params)},
          {"clip_weights", plan.clip > 0 ? to_text(plan.clip) : "no"},
          {"batch_norm", plan.batch_norm ? "while training, folded" : "no"},
          {"epochs", std::to_string(plan.epochs)},
          {"batch", std::to_string(plan.batch)},
          {"seed", std::to_string(plan.seed)},
          {"final_loss", to_text(last.loss())},
          {"result", result}};
}

int run_train(const Arguments& arguments, const Streams& streams) {
  const TrainingPlan plan = plan_of(arguments);
  const InputScaling scaling = scaling_of(arguments);
  const std::string activation = activation_of(arguments);
  const std::string output = arguments.required("output");
  check_output(output, "temblor-network");
  const auto threads =
      parse_integer(arguments.text("threads").value_or(std::to_string(tbb::info::default_concurrency())),
                    "--threads", 1, 4096);
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism,
                                  static_cast<std::size_t>(threads));

  DataRequest request{arguments.required("dataset"), Split::train, arguments.text("data-dir").value_or(""),
                      arguments.required("select")};
  const Dataset data = load_dataset(request, scaling);
  const std::string arch = arguments.required("arch");
  const Network start = initialise(
      make_architecture(arch, {data.shape, data.classes, activation, !arguments.flag("no-bias"), scaling}),
      plan.seed, plan.batch_norm);
  check_fits(start, "--arch " + arch, data);
  request.split = Split::test;
  request.select = "all";
  const Dataset test = load_dataset(request, scaling);
  check_fits(start, "--arch " + arch, test);
  const bool apart = !same_images(data, test);
  const std::string what = apart ? "test accuracy" : "accuracy on all images of the file";

  const InterruptGuard guard;
  Trainer trainer(start, data, plan);
  Progress progress(streams, plan.epochs);
  std::int64_t correct = 0;
  while (!trainer.finished()) {
    trainer.step();
    if (InterruptGuard::requested()) {
      progress.clear();
      throw Error(Exit::interrupted, "interrupted in epoch " + std::to_string(trainer.epochs().size() + 1),
                  "nothing was written", "run the same command again: it starts anew");
    }
    progress.batch(static_cast<std::int64_t>(trainer.epochs().size()) + 1, trainer.batches_done(),
                   trainer.batches());
    if (trainer.batches_done() != 0) continue;
    correct = count_correct(trainer.network(), test);
    progress.epoch(
        trainer.epochs().back(),
        apart ? ", test accuracy " + percent(static_cast<double>(correct) / static_cast<double>(test.size()))
              : "");
  }
  const Network network = trainer.network();
  const std::string result = accuracy_text(what, correct, test.size());
  save_network(network, output, provenance_of(plan, data, trainer.epochs().back(), result));
  streams.out << output << ": " << network.summary() << "; " << result << "\n";
  return 0;
}

}  // namespace

Subcommand train_command() {
  std::vector<Option> options = {
      {.name = "dataset",
       .value = "SET",
       .help = "images to train on ('temblor list datasets')",
       .required = true},
      {.name = "data-dir",
       .value = "DIR",
       .help = "directory of the data set, before TEMBLOR_DATA and its usual places"},
      {.name = "select",
       .value = "IMAGES",
       .help = "training images: all, first:N, range:A:B, stratified:N, random:N[:SEED]",
       .initial = "all"},
      {.name = "arch",
       .value = "NAME",
       .help = "layer sizes from input to output, as in 784-128-64-32-10, or " +
               names_of(architecture_table()) + " ('temblor list architectures')",
       .required = true},
      {.name = "activation", .value = "KIND", .help = join(activations(), ", "), .initial = "relu"},
      {.name = "no-bias", .value = "", .help = "layers without biases"},
      {.name = "output", .value = "FILE", .help = "network file to write", .letter = 'o', .required = true},
      {.name = "epochs", .value = "N", .help = "passes over the training images", .initial = "8"},
      {.name = "batch", .value = "N", .help = "images a step", .initial = "128"},
      {.name = "seed", .value = "N", .help = "of initial weights and of the order of images", .initial = "1"},
      {.name = "loss", .value = "NAME", .help = names_of(loss_table()), .initial = "cross-entropy"},
      {.name = "set",
       .value = "NAME=VALUE",
       .help = "parameter of the loss ('temblor list losses'), as the option of that name",
       .repeat = true},
      {.name = "optimizer", .value = "NAME", .help = names_of(optimizer_table()), .initial = "adam"},
      {.name = "lr", .value = "REAL", .help = "learning rate at the start"},
      {.name = "schedule",
       .value = "NAME",
       .help = "of the learning rate: " + names_of(schedule_table()),
       .initial = "cosine"},
      {.name = "clip-weights",
       .value = "REAL",
       .help = "after every step, weights (not biases) are limited to plus or minus this"},
      {.name = "batch-norm",
       .value = "WHEN",
       .help =
           "batch normalisation behind every convolution while training, folded into it in the end: on, off, "
           "auto (as the architecture says)",
       .initial = "auto"},
      {.name = "scale",
       .value = "REAL",
       .help = "inputs are (raw * scale - mean) / std; default 1/255, for bytes"},
      {.name = "mean", .value = "REALS", .help = "one number, or one a channel", .initial = "0"},
      {.name = "std", .value = "REALS", .help = "one number, or one a channel", .initial = "1"},
      {.name = "threads", .value = "N", .help = "threads; default all processors"},
  };
  std::vector<std::string> rates;
  for (const auto& entry : optimizer_table()) rates.push_back(entry.name + ": " + to_text(entry.rate));
  for (auto& option : options) {
    if (option.name == "lr") option.help += " (default by optimizer: " + join(rates, ", ") + ")";
  }
  for (const auto& [spec, owners] : plugin_params()) {
    options.push_back(
        {.name = spec.name, .value = placeholder(spec), .help = spec.help + " (" + owners + ")"});
  }
  return {.name = "train",
          .help = "train a network on a data set",
          .details =
              "Trains a multilayer perceptron or a named network by mini-batches and writes it to a network "
              "file. "
              "The same command gives the "
              "same bytes, whatever the number of threads. One line an epoch goes to standard error, with "
              "the mean loss and "
              "the accuracy met while training, and the accuracy on the test images.\n\n"
              "The file appears only when training is complete. Ctrl-C stops after the batch at hand and "
              "writes nothing.",
          .examples =
              {"temblor train --dataset fashion-mnist --arch 784-128-64-32-10 --epochs 8 --seed 1 -o net.h5",
               "temblor train --dataset fashion-mnist --arch 784-64-10 --activation tanh --optimizer sgd "
               "--lr 0.1 "
               "--momentum 0.8 -o tanh.h5",
               "temblor train --dataset fashion-mnist --arch 784-128-64-32-10 --no-bias --loss margin-robust "
               "--eps 0.001 --lambda 0.01 --mu 0.0001 -o robust.h5",
               "temblor train --dataset synthetic:classes=3,features=8,n=900 --arch 8-16-3 -o blobs.h5"},
          .positionals = {},
          .options = std::move(options),
          .run = run_train};
}

}  // namespace temblor::cli
