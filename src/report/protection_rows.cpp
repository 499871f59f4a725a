#include <algorithm>
#include <cmath>
#include <map>

#include <temblor/base/error.hpp>
#include <temblor/report/protection_rows.hpp>

namespace temblor {
namespace {

ProtectionScore score(const ResultFile& file, const PointRow& point) {
  ProtectionScore sums;
  sums.point = point.index;
  double done = 0;
  for (std::int64_t t = 0; t < point.trials; ++t) {
    const TrialRow& trial = file.trials()[static_cast<std::size_t>(point.first_trial + t)];
    if (trial.outcome != Outcome::done) continue;
    ++done;
    sums.sdc += static_cast<double>(trial.changed);
    sums.accuracy += static_cast<double>(trial.correct);
    sums.no_prediction += static_cast<double>(trial.no_prediction);
    sums.corrected += static_cast<double>(trial.corrected_words);
    sums.detected += static_cast<double>(trial.detected_words);
    sums.miscorrected += static_cast<double>(trial.miscorrected_words);
    sums.undetected += static_cast<double>(trial.undetected_words);
  }
  const double images = done * static_cast<double>(file.samples());
  for (double* share : {&sums.sdc, &sums.accuracy, &sums.no_prediction}) *share /= images;
  for (double* words : {&sums.corrected, &sums.detected, &sums.miscorrected, &sums.undetected})
    *words /= done;
  sums.overhead_percent =
      100.0 * static_cast<double>(point.overhead_bits) / static_cast<double>(point.stored_bits);
  return sums;
}

/// Points with the same faults, by number of their random streams.
std::map<std::int64_t, std::vector<std::size_t>> groups(const ResultFile& file) {
  std::map<std::int64_t, std::vector<std::size_t>> all;
  for (const auto& point : file.points()) all[point.stream].push_back(static_cast<std::size_t>(point.index));
  return all;
}

std::vector<Cell> head(const PointRow& point) {
  return {point.stream, point.index,      point.attack,      point.format,
          point.layers, point.quantity,   point.severity,    point.params,
          point.trials, point.protection, point.stored_bits, point.overhead_bits};
}

std::vector<Column> head_columns() {
  return {{"faults"},   {"point"},  {"attack"}, {"format"},     {"layers"},          {"quantity"},
          {"severity"}, {"params"}, {"trials"}, {"protection"}, {"stored_bits", 12}, {"overhead_bits", 12}};
}

}  // namespace

std::vector<bool> pareto_front(const std::vector<double>& cost, const std::vector<double>& loss) {
  ensure(cost.size() == loss.size(), "one loss a cost");
  std::vector<bool> front;
  for (std::size_t i = 0; i < cost.size(); ++i) {
    bool beaten = std::isnan(cost[i]) || std::isnan(loss[i]);
    for (std::size_t j = 0; j < cost.size() && !beaten; ++j) {
      beaten = cost[j] <= cost[i] && loss[j] <= loss[i] && (cost[j] < cost[i] || loss[j] < loss[i]);
    }
    front.push_back(!beaten);
  }
  return front;
}

std::vector<ProtectionScore> protection_scores(const ResultFile& file) {
  std::vector<ProtectionScore> scores;
  for (const auto& point : file.points()) scores.push_back(score(file, point));
  for (const auto& [stream, points] : groups(file)) {
    std::vector<double> cost, sdc, wrong;
    for (const auto p : points) {
      cost.push_back(static_cast<double>(file.points()[p].overhead_bits));
      sdc.push_back(scores[p].sdc);
      wrong.push_back(-scores[p].accuracy);
    }
    const auto by_sdc = pareto_front(cost, sdc);
    const auto by_accuracy = pareto_front(cost, wrong);
    for (std::size_t i = 0; i < points.size(); ++i) {
      scores[points[i]].least_sdc = by_sdc[i];
      scores[points[i]].best_accuracy = by_accuracy[i];
    }
  }
  return scores;
}

std::vector<Column> protection_columns() {
  auto columns = head_columns();
  columns.insert(columns.end(), {{"overhead_percent"},
                                 {"sdc"},
                                 {"accuracy"},
                                 {"no_prediction"},
                                 {"corrected_words"},
                                 {"detected_words"},
                                 {"miscorrected_words"},
                                 {"undetected_words"},
                                 {"pareto_sdc"},
                                 {"pareto_accuracy"}});
  return columns;
}

void protection_rows(const ResultFile& file, RowWriter& writer) {
  const auto scores = protection_scores(file);
  for (const auto& [stream, points] : groups(file)) {
    for (const auto p : points) {
      const auto& s = scores[p];
      auto row = head(file.points()[p]);
      row.insert(row.end(), {s.overhead_percent, s.sdc, s.accuracy, s.no_prediction, s.corrected, s.detected,
                             s.miscorrected, s.undetected, s.least_sdc, s.best_accuracy});
      writer.add(std::move(row));
    }
  }
}

std::vector<Column> pareto_columns() {
  auto columns = head_columns();
  columns.insert(columns.begin(), {"best_in"});
  columns.insert(columns.end(), {{"overhead_percent"}, {"sdc"}, {"accuracy"}, {"no_prediction"}});
  return columns;
}

void pareto_rows(const ResultFile& file, RowWriter& writer) {
  const auto scores = protection_scores(file);
  for (const auto& [stream, group] : groups(file)) {
    auto points = group;
    std::stable_sort(points.begin(), points.end(), [&](std::size_t a, std::size_t b) {
      return file.points()[a].overhead_bits < file.points()[b].overhead_bits;
    });
    for (const bool sdc : {true, false}) {
      for (const auto p : points) {
        const auto& s = scores[p];
        if (!(sdc ? s.least_sdc : s.best_accuracy)) continue;
        auto row = head(file.points()[p]);
        row.insert(row.begin(), std::string(sdc ? "sdc" : "accuracy"));
        row.insert(row.end(), {s.overhead_percent, s.sdc, s.accuracy, s.no_prediction});
        writer.add(std::move(row));
      }
    }
  }
}

}  // namespace temblor
