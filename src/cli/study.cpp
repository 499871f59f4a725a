#include "study_sections.hpp"

#include <filesystem>
#include <fstream>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/data_options.hpp>
#include <temblor/cli/memory_option.hpp>
#include <temblor/cli/output.hpp>

namespace temblor::cli {
namespace {

/// "secded" is the code for 64 data bits.
std::string protections(const std::string& text) {
  std::vector<std::string> words = split(text, ',');
  for (auto& word : words) {
    if (word == "secded") word = "secded-72-64";
  }
  return join(words, ",");
}

Spec spec_of(const Arguments& arguments) {
  Spec spec;
  spec.title = "Compression study";
  spec.network = arguments.required("network");
  spec.data = data_request(arguments);
  spec.trials = parse_integer(arguments.required("trials"), "--trials", 1, most_trials);
  if (const auto until = arguments.text("until")) spec.until = Until::parse(*until, "--until").text();
  spec.seed = static_cast<std::uint64_t>(parse_integer(arguments.required("seed"), "--seed", 0));
  AttackSpec attack;
  attack.name = "bit-flip";
  attack.params = {{"mode", "ber"}};
  attack.severity = severity_values(arguments.required("ber"), "--ber",
                                    find_attack("bit-flip").quantity(checked_params(attack)));
  attack.format = format_values(arguments.required("formats"), "--formats");
  attack.protect = protection_values(protections(arguments.required("protect")), "--protect");
  spec.attacks = {attack};
  return spec;
}

/// Puts the tables into the campaign's file: a copy takes its place when it is whole.
void add_tables(const std::string& output, const std::vector<Section>& sections) {
  const std::string fresh = output + ".new";
  try {
    std::filesystem::copy_file(output, fresh, std::filesystem::copy_options::overwrite_existing);
    const auto file = hdf5::File::open(fresh, hdf5::File::Mode::update);
    write_sections(file, sections);
    file.sync();
    file.close();
    std::filesystem::rename(fresh, output);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    throw;
  }
}

void write_csv(const std::string& path, const Section& section) {
  if (std::filesystem::is_regular_file(path) && is_hdf5(path))
    input_error("cannot write '" + path + "'", "it exists and is an HDF5 file", "name another file");
  Table table;
  for (const auto& field : section.fields) {
    auto name = field.name;
    for (auto& c : name) c = c == ' ' ? '_' : c;
    table.columns.push_back({name});
  }
  for (const auto& row : section.rows) table.add(row);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  write(out, table, TableFormat::csv);
  out.close();
  if (!out) input_error("cannot write '" + path + "'", "no such directory, or no room", "name another file");
}

int run_study(const Arguments& arguments, const Streams& streams) {
  const auto kind = *arguments.positional("KIND");
  if (kind != "compress") unknown_name("study", kind, {"compress"});
  const auto output = arguments.required("output");
  const auto csv = arguments.text("csv");
  const auto method = parse_interval(arguments.required("interval"), "value of --interval");
  const auto bounds = bound_names(arguments.required("bound"), "--bound");
  check_output(output, result_filetype, {arguments.required("network")});
  if (csv) check_not_input(*csv, {arguments.required("network"), output});
  const auto plan = make_plan(spec_of(arguments));
  const auto done = run_campaign(plan, output, arguments, streams);
  if (done.state == RunState::interrupted) return static_cast<int>(Exit::interrupted);
  std::vector<Rounding> roundings;
  std::int64_t violated = 0;
  for (const auto& format : plan.spec.attacks.front().format) {
    roundings.push_back(measure_rounding(plan.network, plan.data, find_format(format), bounds,
                                         !arguments.flag("no-arithmetic")));
    for (const auto& bound : roundings.back().bounds) violated += bound.violated;
  }
  const ResultFile result(output);
  const auto sections = compression_sections(result, roundings, method);
  if (!result.file().has("/compression")) add_tables(output, sections);
  if (csv) write_csv(*csv, sections[2]);
  if (arguments.flag("json")) {
    write_json(streams.out, {}, sections);
  } else {
    streams.out << "network  " << plan.spec.network << ": " << plan.network.summary() << "\n"
                << "data     " << plan.data.name << ", " << plan.data.size() << " images\n";
    write_text(streams.out, sections);
    streams.out << "\nresult: " << output << "\n";
  }
  if (violated == 0) return 0;
  streams.err << "a bound on rounding is VIOLATED for " << violated << " images\n";
  return static_cast<int>(Exit::check_failed);
}

}  // namespace

Subcommand study_command() {
  Subcommand command{
      .name = "study",
      .help = "formats x error rates x protections of one network, in one table",
      .details =
          "`study compress` stores the network in each format, inverts stored bits at each rate under each "
          "protection, and prints, with intervals: accuracy, margins and size of every format without "
          "faults; "
          "bounds on what its rounding may do, held against what it does; accuracy and silent corruption at "
          "every rate; and the largest rate that each format and protection tolerates. All protections meet "
          "the "
          "same faults. --csv has the curves for a picture.\n"
          "\n"
          "It is a campaign like those of `temblor run`: blocks are saved, the same command goes on where it "
          "was stopped, and the result file has the tables as groups /storage, /rounding, /compression and "
          "/tolerance. Ends with code 1 when a drop exceeds a bound.",
      .examples =
          {"temblor study compress --network net.h5 --dataset fashion-mnist -o study.h5 --csv study.csv",
           "temblor study compress --network net.h5 --dataset fashion-mnist --formats fp32,bf16,int8 "
           "--ber 1e-6,1e-4 --protect none,secded,clip --trials 50 --select first:1000 -o study.h5"},
      .positionals = {{"KIND", "compress"}},
      .options =
          {{.name = "network", .value = "FILE", .help = "network file", .letter = 'n', .required = true}},
      .run = run_study};
  for (auto& option : data_options()) command.options.push_back(std::move(option));
  const std::vector<Option> rest{
      {.name = "formats",
       .value = "LIST",
       .help = "number formats (temblor list formats)",
       .initial = "fp32,bf16,fp8-e4m3,int8,int4"},
      {.name = "ber",
       .value = "LIST",
       .help = "probabilities of every stored bit to be inverted: numbers and ranges LO:HI:log:N",
       .initial = "1e-7:1e-1:log:7"},
      {.name = "protect",
       .value = "LIST",
       .help = "protections (temblor list protections); secded is secded-72-64",
       .initial = "none,secded-72-64,clip"},
      {.name = "trials",
       .value = "N",
       .help = "trials of every point; the most, with --until",
       .initial = "100"},
      {.name = "until",
       .value = "WHEN",
       .help = "stop a point when an interval is narrow enough, as in \"ci(accuracy) < 1%\""},
      {.name = "bound",
       .value = "LIST",
       .help = "bounds on rounding (temblor list bounds)",
       .initial = "norm-product,interval"},
      {.name = "no-arithmetic",
       .value = "",
       .help = "bounds for exact arithmetic alone, without what float32 evaluation may add"},
      interval_option(),
      {.name = "seed", .value = "N", .help = "key of all random streams", .initial = "1"},
      {.name = "threads", .value = "N", .help = "threads (also TEMBLOR_THREADS; default: all processors)"},
      activation_memory_option(),
      {.name = "output", .value = "FILE", .help = "result file", .letter = 'o', .required = true},
      {.name = "csv", .value = "FILE", .help = "write the table of format, protection and rate there"},
      {.name = "json", .value = "", .help = "print JSON instead of text"}};
  command.options.insert(command.options.end(), rest.begin(), rest.end());
  return command;
}

}  // namespace temblor::cli
