#include "rate_rows.hpp"

#include <cmath>

#include <temblor/campaign/strata.hpp>

namespace temblor {
namespace {

void add_known(bool known, double value, std::vector<Cell>& row) {
  if (known) {
    row.emplace_back(value);
  } else {
    row.emplace_back();
  }
}

/// Value, ends of the interval and method: empty where nothing is known.
void add_estimate(const Estimate& estimate, std::vector<Cell>& row) {
  const bool known = estimate.method != "none";
  add_known(!std::isnan(estimate.value), estimate.value, row);
  add_known(known, estimate.interval.lower, row);
  add_known(known, estimate.interval.upper, row);
  row.emplace_back(estimate.method);
}

/// Trials, and those with the event; no hits for shares of images.
void add_counts(const Rate& rate, const Estimate& estimate, std::vector<Cell>& row) {
  row.emplace_back(estimate.trials);
  if (rate.event && estimate.trials > 0) {
    row.emplace_back(std::int64_t{std::llround(estimate.value * static_cast<double>(estimate.trials))});
  } else {
    row.emplace_back();
  }
}

}  // namespace

std::vector<Column> rate_columns() {
  std::vector<Column> columns{{"point"},    {"attack"}, {"format"}, {"layers"}, {"quantity"},
                              {"severity"}, {"params"}, {"rate"},   {"trials"}, {"hits"},
                              {"samples"},  {"value"},  {"lower"},  {"upper"},  {"method"}};
  for (const double level : check_quantiles)
    columns.push_back({"q" + std::to_string(std::lround(level * 100))});
  return columns;
}

void rate_rows(const ResultFile& file, IntervalMethod method, RowWriter& writer) {
  for (const auto& point : file.points()) {
    for (const auto& rate : rate_table()) {
      const auto estimate = tally(file, point, rate).estimate(method);
      std::vector<Cell> row{point.index,    point.attack,   point.format, point.layers,
                            point.quantity, point.severity, point.params, rate.name};
      add_counts(rate, estimate, row);
      row.emplace_back(std::int64_t{file.samples()});
      add_estimate(estimate, row);
      const auto rates = trial_rates(file, point, rate);
      if (rates.empty() || rate.event) {
        row.resize(row.size() + std::size(check_quantiles));
      } else {
        for (const double value : quantiles(rates, check_quantiles)) row.emplace_back(value);
      }
      writer.add(std::move(row));
    }
  }
}

std::vector<Column> stratum_columns() {
  return {{"population"}, {"point"},  {"attack"}, {"format"}, {"layers"}, {"params"}, {"rate"},  {"faults"},
          {"weight"},     {"trials"}, {"hits"},   {"value"},  {"lower"},  {"upper"},  {"method"}};
}

void stratum_rows(const ResultFile& file, IntervalMethod method, RowWriter& writer) {
  std::int64_t number = 0;
  for (const auto& strata : stratifications(file)) {
    const auto& first = file.points()[static_cast<std::size_t>(strata.points.front())];
    for (const auto& rate : rate_table()) {
      for (const auto index : strata.points) {
        const auto& point = file.points()[static_cast<std::size_t>(index)];
        const auto estimate = tally(file, point, rate).estimate(method);
        const double weight = static_cast<double>(point.population) / static_cast<double>(strata.population);
        std::vector<Cell> row{number,       index,     point.attack,     point.format, point.layers,
                              point.params, rate.name, point.population, weight};
        add_counts(rate, estimate, row);
        add_estimate(estimate, row);
        writer.add(std::move(row));
      }
      const auto all = stratified_rate(file, strata, rate, method);
      std::vector<Cell> row{number};
      row.emplace_back();
      row.insert(row.end(), {first.attack, first.format, std::string("combined")});
      row.emplace_back();
      row.insert(row.end(), {rate.name, strata.population, 1.0, all.trials});
      row.emplace_back();
      add_estimate(all, row);
      writer.add(std::move(row));
    }
    ++number;
  }
}

}  // namespace temblor
