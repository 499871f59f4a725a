#include "plan_size.hpp"

#include <algorithm>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/text.hpp>
#include <temblor/campaign/plan.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

Table points_table(const Plan& plan) {
  Table table;
  table.columns = {{"point"},  {"attack"},     {"quantity"}, {"severity"}, {"format"},
                   {"layers"}, {"protection"}, {"trials"},   {"blocks"},   {"threat"}};
  for (std::size_t p = 0; p < plan.points.size(); ++p) {
    const auto& point = plan.points[p];
    const auto blocks = std::count_if(plan.blocks.begin(), plan.blocks.end(),
                                      [&](const TrialBlock& block) { return block.point == p; });
    table.add({static_cast<std::int64_t>(p), point.attack->name, point.quantity.name, point.severity,
               plan.bases[point.base].format->name, layers_text(point.layers, plan.network),
               point.protection.text(), point.trials, static_cast<std::int64_t>(blocks),
               plan.threats[point.threat].set.key});
  }
  return table;
}

nlohmann::ordered_json json(const Plan& plan) {
  const auto sizes = plan.sizes();
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  const auto table = points_table(plan);
  for (const auto& row : table.rows) {
    nlohmann::ordered_json object;
    for (std::size_t c = 0; c < row.size(); ++c) {
      auto& value = object[table.columns[c].name];
      if (const auto* whole = std::get_if<std::int64_t>(&row[c])) value = *whole;
      if (const auto* real = std::get_if<double>(&row[c])) value = *real;
      if (const auto* text = std::get_if<std::string>(&row[c])) value = *text;
    }
    points.push_back(object);
  }
  return {{"campaign_id", plan.id},
          {"network",
           {{"file", plan.spec.network}, {"summary", plan.network.summary()}, {"id", plan.network.id()}}},
          {"dataset", {{"name", plan.data.name}, {"images", plan.data.size()}, {"id", plan.data.id}}},
          {"seed", plan.spec.seed},
          {"points", points},
          {"trials", plan.trials},
          {"blocks", plan.blocks.size()},
          {"bounds", plan.spec.bounds},
          {"partial_bytes", sizes.partial},
          {"result_bytes", sizes.result}};
}

int run_plan(const Arguments& arguments, const Streams& streams) {
  if (arguments.given("error")) return run_size(arguments, streams);
  refuse_size_options(arguments);
  const auto plan = make_plan(campaign_spec(arguments));
  if (arguments.flag("json")) {
    streams.out << json(plan).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return 0;
  }
  const auto sizes = plan.sizes();
  write_text(streams.out, points_table(plan));
  streams.out << "network: " << plan.spec.network << ", " << plan.network.summary() << "\n"
              << "dataset: " << plan.data.name << ", " << plan.data.size() << " images\n"
              << "seed: " << plan.spec.seed << "\n"
              << "bounds: " << (plan.spec.bounds.empty() ? "none" : join(plan.spec.bounds, ", ")) << " for "
              << plan.threats.size() << " threat sets\n"
              << "work: " << plan.points.size() << " points, " << plan.blocks.size() << " blocks, "
              << plan.trials << " trials\n"
              << "disk: " << bytes_text(sizes.partial) << " while it runs, then at most "
              << bytes_text(sizes.result) << "\n"
              << "campaign: " << plan.id << "\n";
  return 0;
}

}  // namespace

Subcommand plan_command() {
  Subcommand command;
  command.name = "plan";
  command.help = "show what a campaign would do, or size one that samples faults";
  command.details =
      "Reads the spec, the network and the dataset, refuses what run would refuse, and prints points, "
      "trials, blocks of "
      "trials and the space on disk: while it runs, and at most after (the result file is compressed).\n"
      "\n"
      "With --error it sizes a campaign instead: how many single-bit faults of a network's stored weights to "
      "draw so that the share of faults with some effect is known within that error. The population is "
      "weights "
      "x bits; n = N / (1 + e^2 (N-1) / (t^2 p (1-p))) (Leveugle et al., DATE 2009). Strata are sampled on "
      "their "
      "own, in proportion to their size, or, with the rates of a pilot, by Neyman's allocation. -o writes a "
      "spec "
      "with one point a stratum; temblor export --table strata combines its rates.";
  command.examples = {
      "temblor plan campaign.toml", "temblor plan campaign.toml --trials 1000 --json",
      "temblor plan --network net.h5 --format int8 --error 1% --confidence 99%",
      "temblor plan --network net.h5 --dataset fashion-mnist --error 1% --strata layer,bit --pilot "
      "census.h5 -o sample.toml"};
  command.positionals = {{"SPEC", "campaign spec (TOML)", false}};
  command.options = campaign_options();
  for (auto& option : size_options()) command.options.push_back(option);
  command.options.push_back({.name = "json", .value = "", .help = "as JSON"});
  command.run = run_plan;
  return command;
}

}  // namespace temblor::cli
