#include <temblor/base/text.hpp>
#include <temblor/campaign/rates.hpp>

namespace temblor {
namespace {

template <std::int64_t TrialRow::*member>
double share(const TrialRow& trial, std::int64_t images) {
  return static_cast<double>(trial.*member) / static_cast<double>(images);
}

double any_change(const TrialRow& trial, std::int64_t) {
  return trial.changed > 0 || trial.no_prediction > 0 ? 1 : 0;
}
double any_sdc(const TrialRow& trial, std::int64_t) {
  return trial.changed > 0 ? 1 : 0;
}
double any_no_prediction(const TrialRow& trial, std::int64_t) {
  return trial.no_prediction > 0 ? 1 : 0;
}
double point_lost(const TrialRow& trial, std::int64_t images) {
  return 100 * (trial.broken - trial.fixed) >= images ? 1 : 0;
}

}  // namespace

const std::vector<Rate>& rate_table() {
  static const std::vector<Rate> table{
      {"accuracy", "images that are right", false, share<&TrialRow::correct>},
      {"sdc", "images whose prediction changed silently", false, share<&TrialRow::changed>},
      {"sdc_top5", "images whose golden prediction left the top five", false, share<&TrialRow::changed_top5>},
      {"no_prediction", "images with a logit that is not finite", false, share<&TrialRow::no_prediction>},
      {"broken", "images right without fault, wrong or lost with it", false, share<&TrialRow::broken>},
      {"fixed", "images wrong without fault, right with it", false, share<&TrialRow::fixed>},
      {"any_change", "trials that change a prediction or lose one", true, any_change},
      {"any_sdc", "trials that change a prediction silently", true, any_sdc},
      {"any_no_prediction", "trials that leave some image without prediction", true, any_no_prediction},
      {"point_lost", "trials that cost a hundredth of the images or more", true, point_lost},
  };
  return table;
}

const Rate& find_rate(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& rate : rate_table()) {
    if (rate.name == name) return rate;
    names.push_back(rate.name);
  }
  unknown_name("rate", name, names);
}

void RateTally::add(const TrialRow& trial) {
  if (trial.outcome != Outcome::done) return;
  const double share = rate_->of(trial, images_);
  shares_.add(share);
  hits_ += share == 1 ? 1 : 0;
}

Estimate RateTally::estimate(IntervalMethod method, double confidence) const {
  return rate_->event ? event_share(hits_, shares_.count(), method, confidence)
                      : cluster_share(shares_, method, confidence);
}

RateTally tally(const ResultFile& file, const PointRow& point, const Rate& rate) {
  RateTally sum(rate, file.samples());
  for (std::int64_t t = 0; t < point.trials; ++t)
    sum.add(file.trials()[static_cast<std::size_t>(point.first_trial + t)]);
  return sum;
}

std::vector<double> trial_rates(const ResultFile& file, const PointRow& point, const Rate& rate) {
  std::vector<double> rates;
  for (std::int64_t t = 0; t < point.trials; ++t) {
    const auto& trial = file.trials()[static_cast<std::size_t>(point.first_trial + t)];
    if (trial.outcome == Outcome::done) rates.push_back(rate.of(trial, file.samples()));
  }
  return rates;
}

}  // namespace temblor
