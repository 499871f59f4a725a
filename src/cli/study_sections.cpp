#include "study_sections.hpp"

#include <cmath>
#include <limits>
#include <map>

#include <temblor/campaign/rates.hpp>

namespace temblor::cli {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

Section storage(const std::vector<Rounding>& roundings, std::int64_t images, IntervalMethod method) {
  Section section{"storage",
                  "Storage: every weight rounded, no fault",
                  {{"format", "", "number format"},
                   {"stored bits", "bits", "codes, scales and zero points", 12},
                   {"size", "1", "stored bits as a share of the first format's"},
                   {"images", "images", "images"},
                   {"accuracy", "1", "share of the images that are right"},
                   {"lower", "1", "95 % interval of the accuracy on new images, by `method`"},
                   {"upper", "1", "its other end"},
                   {"method", "", "of the interval"},
                   {"changed", "images", "predictions that rounding changes"},
                   {"no prediction", "images", "images with a logit that is not finite"},
                   {"margin", "logit", "median margin"},
                   {"mean drop", "logit", "mean margin drop"},
                   {"largest drop", "logit", "largest margin drop"}}};
  for (const auto& row : roundings) {
    const auto estimate = event_share(row.correct, images, method);
    section.add({row.format, row.stored_bits, share(row.stored_bits, roundings.front().stored_bits), images,
                 estimate.value, estimate.interval.lower, estimate.interval.upper, estimate.method,
                 row.changed, row.no_prediction, row.margin, row.mean_drop, row.largest_drop});
  }
  return section;
}

Section rounding(const std::vector<Rounding>& roundings, std::int64_t images) {
  Section section{"rounding",
                  "Rounding: bounds on the box of its actual errors, against the drops it causes",
                  {{"format", "", "number format"},
                   {"bound", "", "analytic bound"},
                   {"largest drop", "logit", "largest margin drop"},
                   {"median bound", "logit", "median over the images of what the bound allows"},
                   {"largest bound", "logit", "largest of them"},
                   {"tightness", "1", "largest drop / bound of an image"},
                   {"proven", "1", "share of images whose label is proven to stay"},
                   {"violated", "images", "images that drop by more than the bound allows"},
                   {"refused", "", "why the bound does not cover the set"}}};
  for (const auto& row : roundings) {
    for (const auto& bound : row.bounds) {
      if (bound.refused.empty()) {
        section.add({row.format, bound.bound, row.largest_drop, bound.median, bound.largest, bound.tightness,
                     share(bound.proven, images), bound.violated, std::string()});
      } else {
        constexpr double none = std::numeric_limits<double>::quiet_NaN();
        section.add({row.format, bound.bound, row.largest_drop, none, none, none, none, std::int64_t{0},
                     bound.refused});
      }
    }
  }
  return section;
}

Section grid(const ResultFile& result, IntervalMethod method) {
  Section section{"compression",
                  "Faults: accuracy and silent corruption with 95 % intervals over trials, quantiles of the "
                  "accuracy, bits with what the protection adds",
                  {{"format", "", "number format"},
                   {"protection", "", "protection"},
                   {"rate", "", "probability of every stored bit to be inverted"},
                   {"point", "", "row of /points"},
                   {"trials", "", "successful trials"},
                   {"bits", "bits", "stored and added bits", 12},
                   {"accuracy", "1", "mean share of images that are right"},
                   {"accuracy lower", "1", "95 % interval over trials, by `method`"},
                   {"accuracy upper", "1", "its other end"},
                   {"q5", "1", "5 % quantile of the accuracy over trials"},
                   {"q25", "1", "25 %"},
                   {"q50", "1", "50 %"},
                   {"q75", "1", "75 %"},
                   {"q95", "1", "95 %"},
                   {"sdc", "1", "mean share of images with silent data corruption"},
                   {"sdc lower", "1", "95 % interval over trials"},
                   {"sdc upper", "1", "its other end"},
                   {"no prediction", "1", "mean share of images without prediction"},
                   {"mean drop", "logit", "mean margin drop where logits are finite"},
                   {"worst drop", "logit", "largest margin drop of all trials"},
                   {"method", "", "of the intervals"}}};
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  for (const auto& point : result.points()) {
    const auto accuracy = tally(result, point, find_rate("accuracy")).estimate(method);
    const auto sdc = tally(result, point, find_rate("sdc")).estimate(method);
    const auto lost = tally(result, point, find_rate("no_prediction")).estimate(method);
    double drops = 0;
    double worst = none;
    double finite = 0;
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const auto& trial = result.trials()[static_cast<std::size_t>(point.first_trial + t)];
      if (trial.outcome != Outcome::done) continue;
      drops += trial.drop_sum;
      finite += static_cast<double>(result.samples() - trial.no_prediction);
      if (!(trial.drop_max <= worst)) worst = trial.drop_max;
    }
    const auto rates = trial_rates(result, point, find_rate("accuracy"));
    std::vector<Cell> row{point.format,   point.protection,        point.severity,
                          point.index,    accuracy.trials,         point.stored_bits + point.overhead_bits,
                          accuracy.value, accuracy.interval.lower, accuracy.interval.upper};
    const auto spread = rates.empty() ? std::vector<double>(std::size(check_quantiles), none)
                                      : quantiles(rates, check_quantiles);
    for (const double value : spread) row.emplace_back(value);
    row.insert(row.end(), {sdc.value, sdc.interval.lower, sdc.interval.upper, lost.value,
                           finite > 0 ? drops / finite : none, worst, accuracy.method});
    section.add(std::move(row));
  }
  return section;
}

/// Largest rate up to which the mean accuracy stays within a point of that without faults. Not the interval's
/// lower end: trials that a protection makes all alike have a wide one.
Section tolerance(const ResultFile& result, const std::vector<Rounding>& roundings, IntervalMethod method) {
  Section section{"tolerance",
                  "Tolerance: the largest rate of the grid at which, and below which, mean accuracy stays "
                  "within one point of that without faults; 0 when at none",
                  {{"format", "", "number format"},
                   {"protection", "", "protection"},
                   {"bits", "bits", "stored and added bits", 12},
                   {"size", "1", "as a share of the first format's stored bits"},
                   {"accuracy", "1", "without faults"},
                   {"rate", "", "largest tolerated rate"},
                   {"accuracy there", "1", "mean over trials at it"},
                   {"lower", "1", "95 % interval of it"},
                   {"upper", "1", "its other end"}}};
  struct Curve {
    std::int64_t bits = 0;
    double rate = 0;
    double accuracy = std::numeric_limits<double>::quiet_NaN();
    ConfidenceInterval interval{accuracy, accuracy};
    std::map<double, Estimate> points;
  };
  std::vector<std::pair<std::string, std::string>> order;
  std::map<std::pair<std::string, std::string>, Curve> curves;
  for (const auto& point : result.points()) {
    const auto key = std::make_pair(point.format, point.protection);
    if (!curves.contains(key)) order.push_back(key);
    auto& curve = curves[key];
    curve.bits = point.stored_bits + point.overhead_bits;
    curve.points.emplace(point.severity, tally(result, point, find_rate("accuracy")).estimate(method));
  }
  for (const auto& key : order) {
    auto& curve = curves[key];
    double clean = 0;
    for (const auto& rounding : roundings) {
      if (rounding.format == key.first) clean = share(rounding.correct, result.samples());
    }
    for (const auto& [rate, estimate] : curve.points) {
      if (!(estimate.value >= clean - 0.01)) break;
      curve.rate = rate;
      curve.accuracy = estimate.value;
      curve.interval = estimate.interval;
    }
    section.add({key.first, key.second, curve.bits, share(curve.bits, roundings.front().stored_bits), clean,
                 curve.rate, curve.accuracy, curve.interval.lower, curve.interval.upper});
  }
  return section;
}

}  // namespace

std::vector<Section> compression_sections(const ResultFile& result, const std::vector<Rounding>& roundings,
                                          IntervalMethod method) {
  return {storage(roundings, result.samples(), method), rounding(roundings, result.samples()),
          grid(result, method), tolerance(result, roundings, method)};
}

}  // namespace temblor::cli
