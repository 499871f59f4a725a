#include <cmath>
#include <numbers>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/train/schedule.hpp>

namespace temblor {
namespace {

double constant(const Params&, const TrainingTime&) {
  return 1;
}

double cosine(const Params&, const TrainingTime& time) {
  return (1 + std::cos(std::numbers::pi * time.fraction)) / 2;
}

double step(const Params& params, const TrainingTime& time) {
  const auto drops = time.epoch / params.integer("step-every");
  return std::pow(params.real("step-factor"), static_cast<double>(drops));
}

}  // namespace

const std::vector<ScheduleEntry>& schedule_table() {
  static const std::vector<ScheduleEntry> table = [] {
    std::vector<ScheduleEntry> entries = {
        {"constant", "lr", {}, constant},
        {"cosine", "lr (1 + cos(pi t)) / 2, t the share of all batches that is done", {}, cosine},
        {"step",
         "lr step-factor^floor(epoch / step-every)",
         {{"step-every", ParamType::integer, "3", "epochs between two drops", "epochs", 1, 1e9, {}},
          {"step-factor",
           ParamType::real,
           "0.1",
           "what the rate is multiplied by at a drop",
           "",
           1e-9,
           1,
           {}}},
         step},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && entry.factor,
             "schedule table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const ScheduleEntry& find_schedule(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : schedule_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("schedule", name, names);
}

}  // namespace temblor
