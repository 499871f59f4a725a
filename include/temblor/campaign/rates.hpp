#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <temblor/campaign/result_file.hpp>
#include <temblor/stats/estimate.hpp>

namespace temblor {

/// A share that every trial has: of its images, or 0 or 1 for an event that the trial has or has not.
struct Rate {
  std::string name;  ///< "sdc"
  std::string help;
  bool event;
  double (*of)(const TrialRow& trial, std::int64_t images);
};

/// sdc, accuracy, no_prediction, broken, fixed, ...; any_change and other events.
const std::vector<Rate>& rate_table();
/// By name; usage error with the nearest name otherwise.
const Rate& find_rate(const std::string& name);

/// A rate over trials taken in one at a time, in their order: the same order gives the same bits.
class RateTally {
 public:
  RateTally(const Rate& rate, std::int64_t images) : rate_(&rate), images_(images) {}
  void add(const TrialRow& trial);  ///< trials that failed are left out
  std::int64_t trials() const { return shares_.count(); }
  const Moments& shares() const { return shares_; }
  /// Events by the interval of a proportion, shares of images by that of clusters.
  Estimate estimate(IntervalMethod method, double confidence = 0.95) const;

 private:
  const Rate* rate_;
  std::int64_t images_;
  Moments shares_;
  std::int64_t hits_ = 0;
};

/// Of a point of a result file.
RateTally tally(const ResultFile& file, const PointRow& point, const Rate& rate);
/// The rate of every successful trial of a point, in their order.
std::vector<double> trial_rates(const ResultFile& file, const PointRow& point, const Rate& rate);

}  // namespace temblor
