#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>

namespace temblor {

/// Where training stands at the start of a batch.
struct TrainingTime {
  std::int64_t epoch = 0;  ///< 0-based
  double fraction = 0;     ///< of all batches of all epochs, in [0, 1)
  double epochs = 0;       ///< epochs done, with the share of the present one
};

/// A learning-rate schedule: one line in src/train/schedule.cpp.
struct ScheduleEntry {
  std::string name;
  std::string help;  ///< one line: formula
  std::vector<ParamSpec> params;
  /// What the learning rate is multiplied by.
  double (*factor)(const Params& params, const TrainingTime& time);
};

const std::vector<ScheduleEntry>& schedule_table();
/// By name; usage error with the nearest name otherwise.
const ScheduleEntry& find_schedule(std::string_view name);

}  // namespace temblor
