#include <algorithm>
#include <filesystem>
#include <map>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/campaign_table.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/memory_option.hpp>
#include <temblor/cli/parse.hpp>

namespace temblor::cli {
namespace {

std::string output_path(const Arguments& arguments) {
  if (const auto path = arguments.text("output")) return *path;
  if (const auto spec = arguments.positional("SPEC"))
    return std::filesystem::path(*spec).stem().string() + ".h5";
  usage_error("no output file", "without a spec it has no name", "give -o FILE");
}

void check_place(const std::string& output) {
  if (output.empty()) usage_error("output file ''", "it has no name", "name a file");
  const auto directory = std::filesystem::path(output).parent_path();
  if (directory.empty() || std::filesystem::is_directory(directory)) return;
  input_error("cannot write '" + output + "'", "there is no directory '" + directory.string() + "'",
              "create it with mkdir -p, or choose another -o");
}

/// The image with the largest drop of all and the command that rebuilds it.
void print_worst(const ResultFile& result, const std::string& output, std::ostream& out) {
  const TrialRow* worst = nullptr;
  for (const auto& trial : result.trials()) {
    if (trial.outcome == Outcome::done && (worst == nullptr || trial.drop_max > worst->drop_max))
      worst = &trial;
  }
  if (worst == nullptr) return;
  out << "worst drop " << to_text(worst->drop_max) << ": temblor replay " << shell_quoted(output)
      << " --point " << worst->point << " --trial " << worst->trial << " --sample " << worst->worst_sample
      << "\n";
}

/// One line a bound and reason.
void print_refusals(const ResultFile& result, std::ostream& err) {
  for (const auto& bound : result.bounds()) {
    std::map<std::string, std::vector<std::int64_t>> threats;
    for (std::size_t i = 0; i < bound.refused.size(); ++i)
      threats[bound.reasons[i]].push_back(bound.refused[i]);
    for (const auto& [reason, rows] : threats) {
      err << "bound " << bound.name << " does not cover "
          << result.threats()[static_cast<std::size_t>(rows.front())].key;
      if (rows.size() > 1) err << " and " << rows.size() - 1 << " more sets";
      err << ": " << reason << "\n";
    }
  }
}

/// What became of `until`.
void print_stops(const ResultFile& result, const std::string& until, std::ostream& err) {
  if (until.empty()) return;
  const auto least = Until::parse(until, "until").least_trials();
  std::int64_t stopped = 0;
  std::vector<std::string> not_met;
  for (const auto& point : result.points()) {
    if (point.trials < point.trials_most) ++stopped;
    if (point.trials == point.trials_most && point.trials > 1) not_met.push_back(std::to_string(point.index));
  }
  err << "until " << until << ": " << stopped << " points stopped early";
  if (!not_met.empty()) {
    err << "; all trials were needed, or not enough, at point" << (not_met.size() > 1 ? "s " : " ")
        << join(not_met, ", ") << " (it is looked at from " << least << " trials on)";
  }
  err << "\n";
}

int report(const std::string& output, IntervalMethod method, const Streams& streams) {
  const ResultFile result(output);
  write_text(streams.out, campaign_table(result, method));
  if (const auto strata = strata_table(result, method); !strata.rows.empty()) {
    streams.out << "\nwhole populations, from their strata\n";
    write_text(streams.out, strata);
    streams.out << "\n";
  }
  streams.out << intervals_text(result, method);
  print_stops(result, parse_spec(result.spec(), output + ", /provenance/spec", "").until, streams.err);
  print_worst(result, output, streams.out);
  streams.out << "result: " << output << "\n";
  print_refusals(result, streams.err);
  std::int64_t failed = 0;
  for (const auto& trial : result.trials()) failed += trial.outcome == Outcome::done ? 0 : 1;
  if (failed > 0) streams.err << failed << " trials failed; reasons are in /failures\n";
  std::int64_t violated = 0;
  bool mean_violated = false;
  for (const auto& check : result.checks()) {
    violated += check.violated;
    mean_violated = mean_violated || check.mean_violated();
  }
  if (mean_violated) streams.err << "a bound on the mean drop is VIOLATED: see /checks\n";
  if (violated == 0 && !mean_violated) return static_cast<int>(Exit::ok);
  if (violated > 0) streams.err << "a bound is VIOLATED for " << violated << " images: see /checks\n";
  return static_cast<int>(Exit::check_failed);
}

int run_run(const Arguments& arguments, const Streams& streams) {
  const auto output = output_path(arguments);
  check_place(output);
  const auto method = parse_interval(arguments.required("interval"), "value of --interval");
  const auto plan = make_plan(campaign_spec(arguments));
  const auto done = run_campaign(plan, output, arguments, streams);
  if (done.state == RunState::interrupted) return static_cast<int>(Exit::interrupted);
  if (done.state == RunState::already) streams.err << "'" << output << "' is complete; nothing was done\n";
  return report(output, method, streams);
}

}  // namespace

Subcommand run_command() {
  Subcommand command;
  command.name = "run";
  command.help = "run a campaign of attacks, with bounds beside, into one result file";
  command.details =
      "The campaign is the grid attack x severity x layers x format x protection, each point with its "
      "trials. It comes "
      "from a spec "
      "(TOML, see docs/spec.md), from options, or from both: options come before TEMBLOR_SEED, "
      "TEMBLOR_THREADS and "
      "TEMBLOR_DATA, these before the spec.\n"
      "\n"
      "Finished blocks of trials are saved in OUTPUT.partial at once. The same command again does what is "
      "missing; when "
      "all is there, nothing. Ctrl-C (or SIGTERM) finishes the running blocks and stops with code 130, a "
      "second one stops "
      "at once. Results do not depend on threads or interruptions.\n"
      "\n"
      "Ends with code 1 when a drop exceeds a bound.";
  command.examples = {"temblor run campaign.toml -o out.h5",
                      "temblor run --network net.h5 --dataset fashion-mnist --attack weight-pgd --eps "
                      "1e-3,2e-3,5e-3 --trials 10 -o out.h5",
                      "temblor run --network net.h5 --dataset fashion-mnist --attack bit-flip --ber "
                      "1e-6:1e-4:log:5 --format fp32,int8 "
                      "--trials 100 -o flips.h5"};
  command.positionals = {{"SPEC", "campaign spec (TOML)", false}};
  command.options = campaign_options();
  command.options.push_back({.name = "output",
                             .value = "FILE",
                             .help = "result file (default: the spec's name with .h5)",
                             .letter = 'o'});
  command.options.push_back(interval_option());
  command.options.push_back(
      {.name = "threads", .value = "N", .help = "threads (also TEMBLOR_THREADS; default: all processors)"});
  command.options.push_back(activation_memory_option());
  command.run = run_run;
  return command;
}

}  // namespace temblor::cli
