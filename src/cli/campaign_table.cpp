#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <temblor/base/text.hpp>
#include <temblor/cli/campaign_table.hpp>
#include <temblor/report/protection_rows.hpp>

namespace temblor::cli {
namespace {

std::string digits(double value, const char* form = "%.4g") {
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), form, value);
  return text.data();
}

/// Mean and range of a share of images over the trials.
struct Shares {
  double sum = 0;
  double least = 1;
  double most = 0;
  std::int64_t trials = 0;

  void add(std::int64_t count, double samples) {
    const double share = static_cast<double>(count) / samples;
    sum += share;
    least = std::min(least, share);
    most = std::max(most, share);
    ++trials;
  }
  std::string text() const {
    if (trials == 0) return "none";
    const auto mean = digits(sum / static_cast<double>(trials), "%.4f");
    return trials == 1 ? mean : mean + " [" + digits(least, "%.4f") + ".." + digits(most, "%.4f") + "]";
  }
};

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

Table campaign_table(const ResultFile& result) {
  const auto samples = static_cast<double>(result.samples());
  const bool failures = std::any_of(result.trials().begin(), result.trials().end(),
                                    [](const TrialRow& trial) { return trial.outcome != Outcome::done; });
  Table table;
  table.columns = {{"point"},  {"attack"},   {"severity"}, {"format"},    {"layers"},
                   {"trials"}, {"accuracy"}, {"SDC"},      {"worst drop"}};
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
    Shares accuracy, changed;
    double worst = std::nan("");
    std::int64_t failed = 0;
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const auto& trial = result.trials()[static_cast<std::size_t>(point.first_trial + t)];
      if (trial.outcome != Outcome::done) {
        ++failed;
        continue;
      }
      accuracy.add(trial.correct, samples);
      changed.add(trial.changed, samples);
      if (!(trial.drop_max <= worst)) worst = trial.drop_max;
    }
    auto severity = point.quantity + "=" + digits(point.severity);
    if (point.acting != point.severity) severity += " (rate " + digits(point.acting) + ")";
    std::vector<Cell> row{point.index,  point.attack,    severity,       point.format, point.layers,
                          point.trials, accuracy.text(), changed.text(), worst};
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

}  // namespace temblor::cli
