#include "check_coverage.hpp"

#include <cmath>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/campaign/compare.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/cli/parse.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

const PointRow& point_of(const ResultFile& file, std::int64_t row) {
  return file.points()[static_cast<std::size_t>(row)];
}

std::string replay_command_line(const ResultFile& file, const CheckRow& row) {
  if (row.worst_trial < 0) return {};
  std::string line = "temblor replay " + shell_quoted(file.path()) + " --point " + std::to_string(row.point) +
                     " --trial " + std::to_string(row.worst_trial);
  if (point_of(file, row.point).per_sample) line += " --sample " + std::to_string(row.worst_sample);
  return line;
}

/// Images above a bound, and points whose mean drop is above one.
std::int64_t violations(const std::vector<CheckRow>& rows) {
  std::int64_t count = 0;
  for (const auto& row : rows) count += row.violated + (row.mean_violated() ? 1 : 0);
  return count;
}

Table check_table(const ResultFile& campaign, const std::vector<CheckRow>& rows) {
  Table table{{{"point"},
               {"attack"},
               {"format"},
               {"layers"},
               {"severity"},
               {"bound"},
               {"compared"},
               {"violated"},
               {"median", 3},
               {"95 %", 3},
               {"max", 3},
               {"allowance", 2},
               {"worst image"},
               {"trial"}},
              {}};
  for (const auto& row : rows) {
    const auto& point = point_of(campaign, row.point);
    table.add({row.point, point.attack, point.format, point.layers, point.severity, row.bound, row.compared,
               row.violated, row.tightness[2], row.tightness[4], row.tightness_max, row.tolerance,
               row.worst_sample, row.worst_trial});
  }
  return table;
}

/// Bounds on the mean drop of one network, where there are any.
Table mean_table(const ResultFile& campaign, const std::vector<CheckRow>& rows) {
  Table table{{{"point"}, {"attack"}, {"severity"}, {"bound"}, {"mean drop"}, {"its bound"}, {"ratio", 3}},
              {}};
  for (const auto& row : rows) {
    if (std::isnan(row.mean_bound)) continue;
    const auto& point = point_of(campaign, row.point);
    table.add({row.point, point.attack, point.severity, row.bound, row.mean_drop, row.mean_bound,
               row.mean_drop / row.mean_bound});
  }
  return table;
}

void print(const Streams& streams, const ResultFile& campaign, const std::vector<CheckRow>& rows,
           const std::vector<Unchecked>& left) {
  auto& out = streams.out;
  if (!rows.empty()) {
    out << "Margin drop / bound over the images; an image is violated when it exceeds bound + allowance\n";
    write_text(out, check_table(campaign, rows));
    if (const auto means = mean_table(campaign, rows); !means.rows.empty()) {
      out << "\nMean margin drop of one network for all images\n";
      write_text(out, means);
    }
    out << "\nWorst images again\n";
    for (const auto& row : rows) {
      if (row.worst_trial >= 0) out << replay_command_line(campaign, row) << "    # " << row.bound << '\n';
    }
  }
  if (!left.empty()) {
    out << (rows.empty() ? "" : "\n") << "Not checked\n";
    for (const auto& row : left) {
      out << "point " << row.point << ", " << row.bound << ": " << row.reason << '\n';
    }
  }
}

// JSON has no non-finite numbers: texts, as in exported tables.
nlohmann::ordered_json number(double value) {
  if (std::isfinite(value)) return value;
  return to_text(value);
}

void print_json(std::ostream& out, const ResultFile& campaign, const ResultFile& bounds,
                const std::vector<CheckRow>& rows, const std::vector<Unchecked>& left) {
  using nlohmann::ordered_json;
  ordered_json json;
  json["result"] = campaign.path();
  json["bounds"] = bounds.path();
  json["violations"] = violations(rows);
  json["checks"] = ordered_json::array();
  for (const auto& row : rows) {
    const auto& point = point_of(campaign, row.point);
    ordered_json quantile = ordered_json::array();
    for (std::size_t i = 0; i < row.tightness.size(); ++i) {
      quantile.push_back({{"level", check_quantiles[i]}, {"tightness", number(row.tightness[i])}});
    }
    json["checks"].push_back({{"point", row.point},
                              {"attack", point.attack},
                              {"format", point.format},
                              {"layers", point.layers},
                              {"severity", point.severity},
                              {"quantity", point.quantity},
                              {"bound", row.bound},
                              {"threat", campaign.threats()[static_cast<std::size_t>(row.threat)].key},
                              {"compared", row.compared},
                              {"violated", row.violated},
                              {"tolerance", number(row.tolerance)},
                              {"tightness_max", number(row.tightness_max)},
                              {"tightness", quantile},
                              {"worst_sample", row.worst_sample},
                              {"worst_trial", row.worst_trial},
                              {"worst_drop", number(row.worst_drop)},
                              {"worst_bound", number(row.worst_bound)},
                              {"mean_drop", number(row.mean_drop)},
                              {"mean_bound", number(row.mean_bound)},
                              {"replay", replay_command_line(campaign, row)}});
  }
  json["unchecked"] = ordered_json::array();
  for (const auto& row : left) {
    json["unchecked"].push_back({{"point", row.point}, {"bound", row.bound}, {"reason", row.reason}});
  }
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void name_violations(std::ostream& err, const ResultFile& campaign, const ResultFile& bounds,
                     const std::vector<CheckRow>& rows) {
  for (const auto& row : rows) {
    if (row.mean_violated()) {
      err << "temblor: point " << row.point << ", bound " << row.bound << ": the mean drop "
          << to_text(row.mean_drop) << " exceeds its bound " << to_text(row.mean_bound) << '\n';
    }
    if (row.violated == 0) continue;
    err << "temblor: point " << row.point << ", bound " << row.bound << ": " << row.violated << " of "
        << row.compared << " images exceed it; image " << row.worst_sample << " dropped by "
        << to_text(row.worst_drop) << ", bound " << to_text(row.worst_bound);
    for (const auto& bound : bounds.bounds()) {
      if (bound.name == row.bound && !bound.arithmetic)
        err << " (without float32 term: leave --no-arithmetic out)";
    }
    err << ": " << replay_command_line(campaign, row) << '\n';
  }
}

bool is_census(const std::string& path) {
  return is_hdf5(path) && hdf5::File::open(path, hdf5::File::Mode::read).text("filetype") == census_filetype;
}

int run_check(const Arguments& arguments, const Streams& streams) {
  const std::string first = *arguments.positional("RESULT");
  const auto group = parse_integer(arguments.required("group"), "--group", 1, 1'000'000'000);
  if (is_census(first)) {
    const auto sampled = arguments.positional("BOUNDS");
    if (!sampled) usage_error(first, "a census alone", "give the result file of a sampled campaign second");
    return check_coverage(first, *sampled, group, arguments.flag("json"), streams);
  }
  const ResultFile campaign(*arguments.positional("RESULT"));
  if (campaign.bounds_only()) {
    usage_error(campaign.path(), "a file of bounds alone", "give the result file first, then the bounds");
  }
  const auto other = arguments.positional("BOUNDS");
  const ResultFile bounds(other ? *other : campaign.path());
  if (bounds.bounds().empty()) {
    input_error(bounds.path(), "it has no bounds",
                "make some with temblor bound and give that file second, or add bounds to the campaign");
  }
  const auto rows = compare(campaign, bounds);
  const auto left = unchecked(campaign, bounds);
  if (arguments.flag("json")) {
    print_json(streams.out, campaign, bounds, rows, left);
  } else {
    print(streams, campaign, rows, left);
  }
  name_violations(streams.err, campaign, bounds, rows);
  if (rows.empty()) streams.err << "temblor: nothing was compared: no bound covers any point\n";
  return static_cast<int>(violations(rows) > 0 ? Exit::check_failed : Exit::ok);
}

}  // namespace

Subcommand check_command() {
  return {
      .name = "check",
      .help = "hold the drops of a campaign against bounds",
      .details =
          "Compares every point's largest drop on every image with every bound that covers the point's "
          "threat set: the equal set, or a larger one of the same kind. A bound is exceeded when the margin "
          "drop is above the margin drop it allows, or the largest drop of one pair of classes is above "
          "the limit of that pair. Unless the bounds were computed with --no-arithmetic, what float32 "
          "evaluation may add is allowed for, and nothing else.\n"
          "\n"
          "Prints images compared and violated, quantiles of drop / bound, the worst image with the "
          "command that makes its trial again, and what no bound covers. Exit code 1 when any image "
          "exceeds any bound.\n"
          "\n"
          "With a file by temblor census first, and a campaign of single random bit flips second (attack "
          "bit-flip, mode=count, one flip), shows how often the campaign's intervals hold the shares of "
          "faults that the census knows: from all trials, and from groups of --group trials as if each were "
          "a campaign. Exit code 1 when they contradict the census beyond chance (one in a million).",
      .examples = {"temblor check out.h5", "temblor check out.h5 bounds.h5 --json",
                   "temblor check census.h5 sampled.h5 --group 200"},
      .positionals = {{"RESULT", "result file of a campaign; or a file by temblor census"},
                      {"BOUNDS",
                       "file by temblor bound (default: the bounds of RESULT); after a census, the campaign",
                       false}},
      .options = {{.name = "json", .value = "", .help = "print JSON instead of text"},
                  {.name = "group",
                   .value = "N",
                   .help = "with a census: trials of the groups whose intervals are counted",
                   .initial = "100"}},
      .run = run_check};
}

}  // namespace temblor::cli
