#include "certificate_rows.hpp"
#include "rate_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/report/protection_rows.hpp>
#include <temblor/report/result_tables.hpp>

namespace temblor {
namespace {

std::int64_t whole(std::size_t value) {
  return static_cast<std::int64_t>(value);
}

/// Folds of a point over its successful trials.
struct PointFold {
  std::int64_t done = 0;
  std::int64_t correct = 0;
  std::int64_t correct_min = std::numeric_limits<std::int64_t>::max();
  std::int64_t changed = 0;
  std::int64_t changed_max = 0;
  std::int64_t no_prediction = 0;
  double drop_max = -std::numeric_limits<double>::infinity();
};

PointFold fold(const ResultFile& file, const PointRow& point) {
  PointFold sums;
  for (std::int64_t t = 0; t < point.trials; ++t) {
    const TrialRow& trial = file.trials()[static_cast<std::size_t>(point.first_trial + t)];
    if (trial.outcome != Outcome::done) continue;
    ++sums.done;
    sums.correct += trial.correct;
    sums.correct_min = std::min(sums.correct_min, trial.correct);
    sums.changed += trial.changed;
    sums.changed_max = std::max(sums.changed_max, trial.changed);
    sums.no_prediction += trial.no_prediction;
    sums.drop_max = std::max(sums.drop_max, trial.drop_max);
  }
  return sums;
}

std::int64_t golden_correct(const ResultFile& file, std::int64_t format) {
  const auto prediction = file.golden_prediction(format);
  std::int64_t correct = 0;
  for (std::size_t n = 0; n < prediction.size(); ++n) correct += prediction[n] == file.labels()[n] ? 1 : 0;
  return correct;
}

void point_rows(const ResultFile& file, RowWriter& writer) {
  std::vector<std::int64_t> golden;
  for (std::size_t f = 0; f < file.formats().size(); ++f) golden.push_back(golden_correct(file, whole(f)));
  for (const auto& point : file.points()) {
    const PointFold sums = fold(file, point);
    const auto mean = [&](std::int64_t sum) {
      return sums.done == 0 ? Cell{} : Cell{static_cast<double>(sum) / static_cast<double>(sums.done)};
    };
    const auto extreme = [&](auto value) { return sums.done == 0 ? Cell{} : Cell{value}; };
    writer.add({point.index,
                point.attack,
                point.format,
                point.layers,
                point.quantity,
                point.severity,
                point.acting,
                point.unit,
                point.params,
                point.per_sample,
                point.trials,
                point.trials - sums.done,
                file.samples(),
                golden[static_cast<std::size_t>(point.format_index)],
                point.protection,
                point.overhead_bits,
                mean(sums.correct),
                extreme(sums.correct_min),
                mean(sums.changed),
                extreme(sums.changed_max),
                mean(sums.no_prediction),
                extreme(sums.drop_max)});
  }
}

void trial_rows(const ResultFile& file, RowWriter& writer) {
  for (const auto& point : file.points()) {
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const TrialRow& trial = file.trials()[static_cast<std::size_t>(point.first_trial + t)];
      const std::string outcome = trial.outcome == Outcome::done ? "done" : "failed";
      writer.add({point.index,
                  trial.trial,
                  point.attack,
                  point.format,
                  point.layers,
                  point.severity,
                  outcome,
                  trial.changed_weights,
                  trial.flipped_bits,
                  trial.linf,
                  trial.l2,
                  trial.relative,
                  trial.correct,
                  trial.argmax_correct,
                  trial.changed,
                  trial.changed_top5,
                  trial.broken,
                  trial.fixed,
                  trial.no_prediction,
                  trial.drop_sum,
                  trial.drop_max,
                  trial.worst_sample,
                  point.protection,
                  trial.corrected_words,
                  trial.detected_words,
                  trial.miscorrected_words,
                  trial.undetected_words,
                  trial.check_faults});
    }
  }
}

void sample_rows(const ResultFile& file, RowWriter& writer) {
  for (const auto& point : file.points()) {
    const auto prediction = file.golden_prediction(point.format_index);
    const auto margin = file.golden_margin(point.format_index);
    const Margins worst = file.margins(point.index);
    for (std::size_t n = 0; n < prediction.size(); ++n) {
      writer.add({point.index, point.attack, point.format, point.layers, point.severity, whole(n),
                  file.sample_index()[n], std::int64_t{file.labels()[n]}, std::int64_t{prediction[n]},
                  margin[n], worst.worst_drop[n], worst.worst_trial[n], worst.worst_pair_drop[n],
                  std::int64_t{worst.worst_pair_class[n]}, worst.worst_pair_trial[n], worst.drop_sum[n],
                  worst.nonfinite[n]});
    }
  }
}

void bound_rows(const ResultFile& file, RowWriter& writer) {
  for (const auto& bound : file.bounds()) {
    for (std::size_t i = 0; i < bound.threats.size(); ++i) {
      const ThreatRow& threat = file.threats()[static_cast<std::size_t>(bound.threats[i])];
      const auto margin = file.golden_margin(threat.format);
      const VectorD drop =
          margin_drop_bound(file.pair_margins(threat.format), file.bound_value(bound, i), file.labels());
      for (std::size_t n = 0; n < margin.size(); ++n) {
        writer.add({bound.name, bound.threats[i], threat.ball, threat.severity, threat.layers,
                    file.formats()[static_cast<std::size_t>(threat.format)], whole(n), file.sample_index()[n],
                    std::int64_t{file.labels()[n]}, margin[n], drop(static_cast<Index>(n))});
      }
    }
  }
}

void check_rows(const ResultFile& file, RowWriter& writer) {
  for (const auto& check : file.checks()) {
    const PointRow& point = file.points()[static_cast<std::size_t>(check.point)];
    std::vector<Cell> row{check.point, point.attack,   point.format,   point.layers,    point.severity,
                          check.bound, check.compared, check.violated, check.tolerance, check.tightness_max};
    ensure(check.tightness.size() == std::size(check_quantiles), "one tightness a quantile");
    for (const double value : check.tightness) row.emplace_back(value);
    row.insert(row.end(), {check.worst_sample, check.worst_trial, check.worst_drop, check.worst_bound,
                           check.mean_drop, check.mean_bound});
    writer.add(std::move(row));
  }
}

std::vector<Column> check_columns() {
  std::vector<Column> columns{{"point"}, {"attack"},   {"format"},   {"layers"},    {"severity"},
                              {"bound"}, {"compared"}, {"violated"}, {"tolerance"}, {"tightness_max"}};
  for (const double level : check_quantiles) {
    columns.push_back({"tightness_q" + std::to_string(std::lround(level * 100))});
  }
  columns.insert(
      columns.end(),
      {{"worst_sample"}, {"worst_trial"}, {"worst_drop"}, {"worst_bound"}, {"mean_drop"}, {"mean_bound"}});
  return columns;
}

}  // namespace

const std::vector<ResultTable>& result_tables() {
  static const std::vector<ResultTable> table{
      {"points",
       "a point of the grid, with folds over its trials",
       true,
       {{"point"},
        {"attack"},
        {"format"},
        {"layers"},
        {"quantity"},
        {"severity"},
        {"acting"},
        {"unit"},
        {"params"},
        {"per_sample"},
        {"trials"},
        {"failed"},
        {"samples"},
        {"golden_correct"},
        {"protection"},
        {"overhead_bits"},
        {"correct_mean", 6},
        {"correct_min"},
        {"changed_mean", 6},
        {"changed_max"},
        {"no_prediction_mean", 6},
        {"drop_max"}},
       point_rows},
      {"trials",
       "a trial",
       true,
       {{"point"},
        {"trial"},
        {"attack"},
        {"format"},
        {"layers"},
        {"severity"},
        {"outcome"},
        {"changed_weights"},
        {"flipped_bits"},
        {"linf"},
        {"l2"},
        {"relative"},
        {"correct"},
        {"argmax_correct"},
        {"changed"},
        {"changed_top5"},
        {"broken"},
        {"fixed"},
        {"no_prediction"},
        {"drop_sum"},
        {"drop_max"},
        {"worst_sample"},
        {"protection"},
        {"corrected_words"},
        {"detected_words"},
        {"miscorrected_words"},
        {"undetected_words"},
        {"check_faults"}},
       trial_rows},
      {"rates", "a rate at a point: estimate, interval and its method, counts, quantiles over the trials",
       true, rate_columns(), nullptr, rate_rows},
      {"strata",
       "a rate of a stratum of single faults, and of the population that the strata make up (its point is "
       "empty)",
       true, stratum_columns(), nullptr, stratum_rows},
      {"samples",
       "an image at a point: its worst drops over the trials",
       true,
       {{"point"},
        {"attack"},
        {"format"},
        {"layers"},
        {"severity"},
        {"sample"},
        {"index"},
        {"label"},
        {"golden_prediction"},
        {"golden_margin"},
        {"worst_drop"},
        {"worst_trial"},
        {"worst_pair_drop"},
        {"worst_pair_class"},
        {"worst_pair_trial"},
        {"drop_sum"},
        {"nonfinite"}},
       sample_rows},
      {"bounds",
       "an image, a bound and a threat set: the largest margin drop the set allows",
       false,
       {{"bound"},
        {"threat"},
        {"ball"},
        {"severity"},
        {"layers"},
        {"format"},
        {"sample"},
        {"index"},
        {"label"},
        {"golden_margin"},
        {"drop_bound"}},
       bound_rows},
      {"checks", "a point held against a bound", true, check_columns(), check_rows},
      {"protections",
       "a point with its protection: what it costs and what it leaves of the faults that it shares with "
       "others, means over trials",
       true, protection_columns(), protection_rows},
      {"pareto", "a protection that no other on the same faults beats in overhead and in SDC, or accuracy",
       true, pareto_columns(), pareto_rows},
      {"certificates",
       "an image, a bound, layers and a severity: what is proven (of a file by temblor certify)",
       false,
       {{"layers"},
        {"bound"},
        {"severity"},
        {"sample"},
        {"index"},
        {"label"},
        {"golden_margin"},
        {"drop_bound"},
        {"drop_bound_float32"},
        {"proven"},
        {"proven_float32"},
        {"attack_drop"}},
       certificate_rows},
      {"radii",
       "an image, a bound and layers: certified and attacked radius (of a file by temblor certify)",
       false,
       {{"layers"},
        {"bound"},
        {"sample"},
        {"index"},
        {"label"},
        {"golden_margin"},
        {"radius"},
        {"attack_radius"}},
       radius_rows},
  };
  return table;
}

const ResultTable& find_result_table(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& table : result_tables()) {
    if (table.name == name) return table;
    names.push_back(table.name);
  }
  unknown_name("table", name, names);
}

void write_table(std::ostream& out, const ResultFile& file, const ResultTable& table, TableFormat format,
                 IntervalMethod method) {
  if (table.points && file.bounds_only()) {
    input_error(file.path() + " has no table '" + table.name + "'", "it holds bounds alone",
                "export its bounds, or give a file made by temblor run");
  }
  RowWriter writer(out, format, table.columns);
  if (table.rates != nullptr) {
    table.rates(file, method, writer);
  } else {
    table.rows(file, writer);
  }
  writer.finish();
}

}  // namespace temblor
