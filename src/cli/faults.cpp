#include <ostream>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/schema.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/new_file.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/perturb/fault_map.hpp>

namespace temblor::cli {
namespace {

/// The campaign of a spec and options, or of a result file.
Plan plan_of(const Arguments& arguments) {
  const auto file = arguments.positional("SPEC");
  if (!file || !is_hdf5(*file)) return make_plan(campaign_spec(arguments));
  for (const auto& option : campaign_options()) {
    if (option.name == "network" || option.name == "data-dir" || !arguments.given(option.name)) continue;
    usage_error("--" + option.name, "a result file says what its campaign was",
                "leave the option out, or give the spec");
  }
  const ResultFile result(*file);
  auto plan = plan_again(result, arguments.text("network"), arguments.text("data-dir"));
  // A campaign with an `until` may have run fewer trials than its spec allows.
  for (std::size_t p = 0; p < plan.points.size(); ++p) plan.points[p].trials = result.points()[p].trials;
  return plan;
}

std::size_t point_of(const Arguments& arguments, const Plan& plan) {
  const auto text = arguments.text("point");
  const auto points = static_cast<std::int64_t>(plan.points.size());
  if (text) return static_cast<std::size_t>(parse_integer(*text, "--point", 0, points - 1));
  if (points > 1) {
    usage_error("which point", "the campaign has " + std::to_string(points) + ", a fault file holds one",
                "give --point 0 to " + std::to_string(points - 1));
  }
  return 0;
}

/// Trials [first, end) of --trial: N, or A:B.
std::pair<std::int64_t, std::int64_t> trials_of(const Arguments& arguments, std::int64_t trials) {
  const auto text = arguments.text("trial");
  if (!text) return {0, trials};
  const auto ends = split(*text, ':');
  if (ends.size() > 2) usage_error("--trial " + *text, "a range is A:B", "as in 0:100, without trial 100");
  const auto first = parse_integer(ends.front(), "--trial", 0, trials - 1);
  if (ends.size() == 1) return {first, first + 1};
  return {first, parse_integer(ends.back(), "--trial, end of the range", first + 1, trials)};
}

[[noreturn]] void refuse(const Plan& plan, const Point& point, const std::string& why) {
  usage_error(plan.describe(point) + " has no list of faults", why,
              "choose a point of an attack on stored codes (temblor list attacks)");
}

/// Faults of every trial, in order.
std::vector<std::vector<BitFault>> draw(const Plan& plan, std::size_t number,
                                        std::pair<std::int64_t, std::int64_t> range) {
  const auto& point = plan.points[number];
  if (!point.attack->stored_codes) refuse(plan, point, "it does not invert stored bits");
  const auto attack = make_attack(*point.attack, plan.context(point));
  std::vector<std::vector<BitFault>> faults(static_cast<std::size_t>(range.second - range.first));
  oneapi::tbb::parallel_for(std::int64_t{0}, range.second - range.first, [&](std::int64_t i) {
    auto made = attack->perturb(trial_stream(plan, number, range.first + i));
    if (!std::holds_alternative<SparseDelta>(made.delta))
      refuse(plan, point, "its faults are not in the codes of weights");
    faults[static_cast<std::size_t>(i)] = std::move(made.faults);
  });
  return faults;
}

int run_faults(const Arguments& arguments, const Streams& streams) {
  const auto output = arguments.required("output");
  check_output(output, faults_filetype, {arguments.positional("SPEC").value_or("")});
  const oneapi::tbb::global_control limit(oneapi::tbb::global_control::max_allowed_parallelism,
                                          static_cast<std::size_t>(thread_count(arguments)));
  const auto plan = plan_of(arguments);
  check_not_input(output, {plan.spec.network});
  const auto number = point_of(arguments, plan);
  const auto& point = plan.points[number];
  const auto range = trials_of(arguments, point.trials);
  FaultList list;
  std::int64_t trial = range.first;
  for (const auto& faults : draw(plan, number, range)) {
    for (const auto& fault : faults) list.add(trial, fault);
    ++trial;
  }
  NewFile fresh(output);
  write_fault_list(fresh.file(), list, plan.bases[point.base].format->name, plan.network.id(), range.second);
  fresh.file().set_text("source", plan.describe(point) + " seed=" + std::to_string(plan.spec.seed) +
                                      " point=" + std::to_string(number));
  fresh.file().set_text("campaign_id", plan.id);
  write_item(fresh.file(), "/provenance/command_line", std::vector<std::string>{arguments.command_line});
  fresh.finish();
  streams.out << "point " << number << ": " << plan.describe(point) << "\n"
              << list.bit.size() << " faults of trials " << range.first << " to " << range.second - 1 << ": "
              << output << "\n";
  return static_cast<int>(Exit::ok);
}

}  // namespace

Subcommand faults_command() {
  Subcommand command;
  command.name = "faults";
  command.help = "write the exact list of faults that a campaign injects";
  command.details =
      "Draws the faults of one point again, without evaluating anything, and writes them as a fault file "
      "(docs/fault-file.md). The campaign comes from a spec, from options, or from the result file it made. "
      "The attack fault-map reads the list back: its trial t injects the faults of trial t, whatever attack "
      "drew them.\n"
      "\n"
      "Only attacks on the codes of weights have such a list. It holds the faults as they strike, before a "
      "protection meets them.";
  command.examples = {"temblor faults flips.h5 --point 2 -o faults.h5",
                      "temblor faults campaign.toml --point 0 --trial 0:100 -o faults.h5"};
  command.positionals = {{"SPEC", "campaign spec (TOML), or a result file", false}};
  command.options = campaign_options();
  command.options.push_back(
      {.name = "point", .value = "P", .help = "row of /points (default: the only one)"});
  command.options.push_back({.name = "trial",
                             .value = "T",
                             .help = "one trial, or A:B for A to B - 1 (default: all of the point)"});
  command.options.push_back(
      {.name = "output", .value = "FILE", .help = "fault file", .letter = 'o', .required = true});
  command.options.push_back(
      {.name = "threads", .value = "N", .help = "threads (also TEMBLOR_THREADS; default: all processors)"});
  command.run = run_faults;
  return command;
}

}  // namespace temblor::cli
