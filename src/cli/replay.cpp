#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/trial_columns.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/memory_option.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

Table comparison(const Replay& replayed) {
  Table table;
  table.columns = {{"column"}, {"stored", 17}, {"again", 17}, {"difference", 17}};
  for (const auto& [name, member, since] : trial_whole_columns) {
    const auto stored = replayed.stored.*member;
    const auto again = replayed.again.*member;
    table.add({std::string(name), stored, again, again - stored});
  }
  for (const auto& [name, member, since] : trial_real_columns) {
    const double stored = replayed.stored.*member;
    const double again = replayed.again.*member;
    const bool same = stored == again || (std::isnan(stored) && std::isnan(again));
    table.add({std::string(name), stored, again, same ? 0.0 : again - stored});
  }
  return table;
}

/// The search's flips in its order; row 0 is the faultless network.
Table flip_table(const Replay& replayed) {
  const FlipLog& log = *replayed.log;
  Table table;
  table.columns = {{"flip"},  {"layer"},   {"index"},    {"bit"},   {"field"},  {"before"},
                   {"after"}, {"loss", 6}, {"accuracy"}, {"moved"}, {"success"}};
  const auto share = [](std::int64_t part, std::int64_t whole) -> Cell {
    if (whole == 0) return std::monostate{};
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  const auto add = [&](const BitFault* flip, const FlipEffect& effect) {
    std::vector<Cell> cells(table.columns.size());
    cells[0] = static_cast<std::int64_t>(table.rows.size());
    if (flip != nullptr) {
      cells[1] = replayed.layers.at(flip->layer);
      cells[2] = std::int64_t{flip->index};
      cells[3] = std::int64_t{flip->bit};
      cells[4] = field_of(*replayed.format, static_cast<int>(flip->bit));
      cells[5] = std::int64_t{flip->before};
      cells[6] = std::int64_t{flip->after};
    }
    cells[7] = effect.loss;
    cells[8] = share(effect.correct, log.images);
    cells[9] = effect.hits;
    cells[10] = share(effect.hits, log.attacked);
    table.add(std::move(cells));
  };
  add(nullptr, log.clean);
  for (const auto& [flip, effect] : log.steps) add(&flip, effect);
  return table;
}

void print_search(const Replay& replayed, const Streams& streams) {
  const FlipLog& log = *replayed.log;
  streams.out << "search: " << log.steps.size() << " flips, ended by " << log.stop << "; accuracy on "
              << log.images << " images, success on " << log.attacked << " (moved: how many)\n";
  write_text(streams.out, flip_table(replayed));
}

/// Faults of one image, or of all.
Table activation_table(const Replay& replayed, std::optional<std::int64_t> sample) {
  Table table;
  table.columns = {{"sample"}, {"layer"}, {"unit"}, {"bit"}, {"field"}};
  for (const ActivationFlip& flip : *replayed.activations) {
    if (sample && flip.sample != *sample) continue;
    table.add(
        {flip.sample, flip.layer, flip.unit, std::int64_t{flip.bit}, field_of(*replayed.format, flip.bit)});
  }
  return table;
}

void print_activations(const Replay& replayed, const Streams& streams) {
  const Table table = activation_table(replayed, replayed.sample);
  streams.out << "faulty activations: " << replayed.activations->size() << " bits in all images, "
              << table.rows.size() << " in this one (unit: channel/row/column, or number)\n";
  write_text(streams.out, table);
}

void write_log(const Replay& replayed, const std::string& path) {
  if (!replayed.log && !replayed.activations) {
    usage_error(
        "cannot write '" + path + "'", "the trial has no log of flips",
        "leave --log out: attacks that search for flips one by one, and those on activations, have one");
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  write(out, replayed.log ? flip_table(replayed) : activation_table(replayed, std::nullopt),
        path.ends_with(".json") ? TableFormat::json : TableFormat::csv);
  out.close();
  if (!out) {
    input_error("cannot write '" + path + "'", std::strerror(errno),
                "make room, or give another place with --log");
  }
}

int run_replay(const Arguments& arguments, const Streams& streams) {
  ReplayRequest request;
  request.file = arguments.positional("FILE").value();
  request.point = parse_integer(arguments.required("point"), "--point", 0);
  request.trial = parse_integer(arguments.required("trial"), "--trial", 0);
  if (const auto sample = arguments.text("sample")) request.sample = parse_integer(*sample, "--sample", 0);
  request.network = arguments.text("network");
  request.directory = arguments.text("data-dir");
  request.activation_memory = activation_memory(arguments);
  const auto output = arguments.text("output");
  if (output) check_output(*output, "temblor-network", {request.file, request.network.value_or("")});
  const auto log = arguments.text("log");
  if (log && is_hdf5(*log)) {
    input_error("cannot write '" + *log + "'", "it exists and is an HDF5 file",
                "name another file, or remove it first");
  }
  const auto replayed = replay(request);
  if (output) check_not_input(*output, {replayed.network});

  streams.out << "point " << request.point << ", trial " << request.trial << ": " << replayed.description
              << "\n";
  if (!replayed.message.empty()) streams.out << "the trial failed: " << replayed.message << "\n";
  write_text(streams.out, comparison(replayed));
  if (replayed.sample >= 0) {
    streams.out << "sample " << replayed.sample << ": margin drop " << to_text(replayed.drop)
                << (replayed.per_sample ? ", from a perturbation of its own" : "") << "\n";
  }
  if (replayed.log) print_search(replayed, streams);
  if (replayed.activations) print_activations(replayed, streams);
  if (log) {
    write_log(replayed, *log);
    streams.out << "log of flips: " << *log << "\n";
  }
  if (output) {
    if (!replayed.broken) {
      usage_error("cannot write '" + *output + "'",
                  replayed.message.empty() ? "activations are faulty, the weights are not"
                                           : "the trial failed, it has no perturbation",
                  replayed.message.empty() ? "leave -o out" : "choose another trial");
    }
    save_network(*replayed.broken, *output);
    streams.out << "perturbed network: " << *output << "\n";
    if (replayed.image) {
      const auto file = hdf5::File::open(*output, hdf5::File::Mode::update);
      const auto count = static_cast<std::size_t>(replayed.image->size());
      file.write<float>("moved_image", std::span<const float>(replayed.image->data(), count), {count});
      streams.out << "and the moved image, scaled, in its dataset moved_image\n";
    }
  }
  if (same_trial(replayed.stored, replayed.again)) return static_cast<int>(Exit::ok);
  streams.err
      << "the trial is NOT the stored one: another processor family, build or version made the file\n";
  return static_cast<int>(Exit::check_failed);
}

}  // namespace

Subcommand replay_command() {
  Subcommand command;
  command.name = "replay";
  command.help = "make one trial of a result file again, bit for bit";
  command.details =
      "Prints the trial's counts and sizes as stored and as made again, and their difference, which must be "
      "zero: else "
      "the code is 1. Network and dataset must be those of the campaign, which their ids tell; they are "
      "looked for where "
      "they were, and the network also beside the result file.\n"
      "\n"
      "Of attacks that search for flips one by one (progressive-bit-search) the log is printed too: every "
      "flip in "
      "the order of the search with the words before and after, and what the search's images do then; --log "
      "writes "
      "it. Of activation-flip the faults of the sample are listed by layer and unit; --log writes those of "
      "all.\n"
      "\n"
      "-o writes the perturbed network. A per-sample attack has one for every image: --sample chooses it. "
      "Where the attack moves the image as well, the dataset moved_image of that file holds it, scaled.";
  command.examples = {"temblor replay out.h5 --point 2 --trial 0",
                      "temblor replay out.h5 --point 2 --trial 0 --sample 17 -o broken.h5"};
  command.positionals = {{"FILE", "result file", true}};
  command.options = {
      {.name = "point", .value = "P", .help = "row of /points", .required = true},
      {.name = "trial", .value = "T", .help = "number of the trial within its point", .required = true},
      {.name = "sample", .value = "N", .help = "row of /samples (default: the trial's worst)"},
      {.name = "network", .value = "FILE", .help = "where the campaign's network is now"},
      {.name = "data-dir", .value = "DIR", .help = "where the campaign's dataset is now"},
      activation_memory_option(),
      {.name = "log", .value = "FILE", .help = "write the log of flips: JSON for a name in .json, else CSV"},
      {.name = "output", .value = "FILE", .help = "write the perturbed network", .letter = 'o'},
  };
  command.run = run_replay;
  return command;
}

}  // namespace temblor::cli
