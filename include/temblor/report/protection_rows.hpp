#pragma once

#include <cstdint>
#include <vector>

#include <temblor/campaign/result_file.hpp>
#include <temblor/report/table.hpp>

namespace temblor {

/// Which (cost, loss) pairs no other pair beats: none is as good in both and better in one. NaN never is on
/// the front.
std::vector<bool> pareto_front(const std::vector<double>& cost, const std::vector<double>& loss);

/// What one point's protection costs and leaves, means over its successful trials; NaN without any.
struct ProtectionScore {
  std::int64_t point = 0;
  double overhead_percent = 0;  ///< of the network's stored bits
  double sdc = 0;               ///< share of images with silent data corruption
  double accuracy = 0;
  double no_prediction = 0;  ///< share of images
  double corrected = 0;      ///< words a trial, as in /trials
  double detected = 0;
  double miscorrected = 0;
  double undetected = 0;
  bool least_sdc = false;      ///< on the Pareto front of overhead and SDC among points with the same faults
  bool best_accuracy = false;  ///< on that of overhead and accuracy
};

/// One a point, in the order of points.
std::vector<ProtectionScore> protection_scores(const ResultFile& file);

/// Rows of the tables "protections" and "pareto".
std::vector<Column> protection_columns();
void protection_rows(const ResultFile& file, RowWriter& writer);
std::vector<Column> pareto_columns();
void pareto_rows(const ResultFile& file, RowWriter& writer);

}  // namespace temblor
