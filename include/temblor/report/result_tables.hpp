#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include <temblor/campaign/result_file.hpp>
#include <temblor/report/table.hpp>
#include <temblor/stats/estimate.hpp>

namespace temblor {

/// A table of a result file in the long form that data frames like: one observation a row, names instead of
/// row numbers.
struct ResultTable {
  std::string name;
  std::string help;  ///< what one row is
  bool points;       ///< needs points: not there in a file of bounds
  std::vector<Column> columns;
  void (*rows)(const ResultFile& file, RowWriter& writer);
  /// Instead of `rows`, for tables of rates.
  void (*rates)(const ResultFile& file, IntervalMethod method, RowWriter& writer) = nullptr;
};

/// points, trials, rates, strata, samples, bounds, checks, protections, ...
const std::vector<ResultTable>& result_tables();
/// By name; usage error with the nearest name otherwise.
const ResultTable& find_result_table(const std::string& name);
/// Writes a whole table; bad-input error when the file cannot have it. `method` is that of its intervals.
void write_table(std::ostream& out, const ResultFile& file, const ResultTable& table, TableFormat format,
                 IntervalMethod method = IntervalMethod::wilson);

}  // namespace temblor
