#include <cmath>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/trial_columns.hpp>
#include <temblor/cli/commands.hpp>
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

int run_replay(const Arguments& arguments, const Streams& streams) {
  ReplayRequest request;
  request.file = arguments.positional("FILE").value();
  request.point = parse_integer(arguments.required("point"), "--point", 0);
  request.trial = parse_integer(arguments.required("trial"), "--trial", 0);
  if (const auto sample = arguments.text("sample")) request.sample = parse_integer(*sample, "--sample", 0);
  request.network = arguments.text("network");
  request.directory = arguments.text("data-dir");
  const auto output = arguments.text("output");
  if (output) check_output(*output, "temblor-network", {request.file, request.network.value_or("")});
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
  if (output) {
    if (!replayed.broken) {
      usage_error("cannot write '" + *output + "'", "the trial failed, it has no perturbation",
                  "choose another trial");
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
      {.name = "output", .value = "FILE", .help = "write the perturbed network", .letter = 'o'},
  };
  command.run = run_replay;
  return command;
}

}  // namespace temblor::cli
