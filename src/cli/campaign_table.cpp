#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <temblor/base/text.hpp>
#include <temblor/campaign/strata.hpp>
#include <temblor/cli/campaign_table.hpp>
#include <temblor/report/protection_rows.hpp>

namespace temblor::cli {
namespace {

std::string digits(double value, const char* form = "%.4g") {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), form, value);
  return text.data();
}

/// "0.6704 [0.5721, 0.7590]"; one trial has no interval.
std::string text(const Estimate& estimate) {
  if (estimate.trials == 0) return "none";
  const auto value = digits(estimate.value, "%.4f");
  if (estimate.method == "none") return value;
  return value + " [" + digits(estimate.interval.lower, "%.4f") + ", " +
         digits(estimate.interval.upper, "%.4f") + "]";
}

/// "0.11 0.45 0.86 0.88 0.89"; of one trial nothing.
std::string quantiles_text(const std::vector<double>& rates) {
  if (rates.size() < 2) return "";
  std::vector<std::string> parts;
  for (const double value : quantiles(rates, check_quantiles)) parts.push_back(digits(value, "%.4f"));
  return join(parts, " ");
}

std::string bounds_text(const ResultFile& result, std::int64_t point) {
  std::vector<std::string> parts;
  for (const auto& check : result.checks()) {
    if (check.point != point) continue;
    parts.push_back(check.bound + " " + digits(check.tightness_max, "%.3g") +
                    (check.violated > 0 || check.mean_violated() ? " VIOLATED" : ""));
  }
  return join(parts, ", ");
}

}  // namespace

Table campaign_table(const ResultFile& result, IntervalMethod method) {
  const bool failures = std::any_of(result.trials().begin(), result.trials().end(),
                                    [](const TrialRow& trial) { return trial.outcome != Outcome::done; });
  const auto& accuracy = find_rate("accuracy");
  const auto& changed = find_rate("sdc");
  Table table;
  const bool spread = std::any_of(result.points().begin(), result.points().end(),
                                  [](const PointRow& point) { return point.trials > 1; });
  table.columns = {{"point"}, {"attack"}, {"severity"}, {"format"}, {"layers"}, {"trials"}, {"accuracy"}};
  if (spread) table.columns.push_back({"accuracy 5 25 50 75 95 %"});
  table.columns.push_back({"SDC"});
  table.columns.push_back({"worst drop"});
  const bool protections = std::any_of(result.points().begin(), result.points().end(),
                                       [](const PointRow& point) { return point.protection != "none"; });
  const auto scores = protections ? protection_scores(result) : std::vector<ProtectionScore>{};
  if (protections) {
    table.columns.push_back({"protection"});
    table.columns.push_back({"overhead %", 3});
    table.columns.push_back({"Pareto"});
  }
  if (failures) table.columns.push_back({"failed"});
  if (!result.bounds().empty()) {
    table.columns.push_back({"violated"});
    table.columns.push_back({"tightness (max)"});
  }
  for (const auto& point : result.points()) {
    double worst = std::nan("");
    std::int64_t failed = 0;
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const auto& trial = result.trials()[static_cast<std::size_t>(point.first_trial + t)];
      if (trial.outcome != Outcome::done) {
        ++failed;
        continue;
      }
      if (!(trial.drop_max <= worst)) worst = trial.drop_max;
    }
    auto severity = point.quantity + "=" + digits(point.severity);
    if (point.acting != point.severity) severity += " (rate " + digits(point.acting) + ")";
    std::vector<Cell> row{point.index,
                          point.attack,
                          severity,
                          point.format,
                          point.layers,
                          point.trials,
                          text(tally(result, point, accuracy).estimate(method))};
    if (spread) row.emplace_back(quantiles_text(trial_rates(result, point, accuracy)));
    row.emplace_back(text(tally(result, point, changed).estimate(method)));
    row.emplace_back(worst);
    if (protections) {
      row.emplace_back(point.protection);
      const auto& score = scores[static_cast<std::size_t>(point.index)];
      row.emplace_back(score.overhead_percent);
      row.emplace_back(std::string(score.least_sdc && score.best_accuracy ? "SDC, accuracy"
                                   : score.least_sdc                      ? "SDC"
                                   : score.best_accuracy                  ? "accuracy"
                                                                          : ""));
    }
    if (failures) row.emplace_back(failed);
    if (!result.bounds().empty()) {
      std::int64_t violated = 0;
      bool checked = false;
      for (const auto& check : result.checks()) {
        if (check.point != point.index) continue;
        violated += check.violated;
        checked = true;
      }
      row.push_back(checked ? Cell(violated) : Cell());
      row.push_back(checked ? Cell(bounds_text(result, point.index)) : Cell("not covered"));
    }
    table.add(std::move(row));
  }
  return table;
}

Table strata_table(const ResultFile& result, IntervalMethod method) {
  Table table;
  table.columns = {{"attack"}, {"format"}, {"strata"}, {"faults"}, {"trials"}, {"rate"}, {"estimate"}};
  for (const auto& strata : stratifications(result)) {
    const auto& point = result.points()[static_cast<std::size_t>(strata.points.front())];
    for (const char* name : {"any_change", "any_no_prediction", "point_lost", "sdc", "accuracy"}) {
      const auto estimate = stratified_rate(result, strata, find_rate(name), method);
      table.add({point.attack, point.format, static_cast<std::int64_t>(strata.points.size()),
                 strata.population, estimate.trials, std::string(name), text(estimate)});
    }
  }
  return table;
}

std::string intervals_text(const ResultFile& result, IntervalMethod method) {
  const bool any = std::any_of(result.points().begin(), result.points().end(),
                               [](const PointRow& point) { return point.trials > 1; });
  if (!any) return "";
  return "intervals: 95 %, " + to_text(method) +
         " over trials (the images of a trial are a cluster); quantiles are over the trials\n";
}

}  // namespace temblor::cli
