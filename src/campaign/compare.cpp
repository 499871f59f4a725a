#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/compare.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {
namespace {

void check_same_origin(const ResultFile& campaign, const ResultFile& bounds) {
  const std::string cure = "make the bounds again for the campaign's network and images";
  if (campaign.network_id() != bounds.network_id()) {
    input_error(bounds.path() + " and " + campaign.path(), "they belong to different networks", cure);
  }
  if (campaign.dataset_id() != bounds.dataset_id() || campaign.sample_index() != bounds.sample_index() ||
      campaign.labels() != bounds.labels() || campaign.classes() != bounds.classes()) {
    input_error(bounds.path() + " and " + campaign.path(), "they belong to different images", cure);
  }
}

const ThreatRow& threat_of(const ResultFile& file, std::int64_t row) {
  return file.threats()[static_cast<std::size_t>(row)];
}

const std::string& format_of(const ResultFile& file, const ThreatRow& threat) {
  return file.formats()[static_cast<std::size_t>(threat.format)];
}

bool contains(const ThreatRow& large, const ThreatRow& small) {
  if (large.ball != small.ball || large.layers != small.layers) return false;
  // Of boxes the severity does not say how large they are.
  if (large.ball == "box" || large.ball == "bits") return false;
  return (large.biases || !small.biases) && large.severity >= small.severity &&
         large.weights >= small.weights && large.input >= small.input;
}

struct Reading {
  double drop;
  double limit;
  std::int64_t trial;

  bool violated() const { return !(drop <= limit); }
  double ratio() const {
    if (drop <= 0 || limit == std::numeric_limits<double>::infinity()) return 0;  // Inf / Inf is no number
    if (std::isnan(drop)) return std::numeric_limits<double>::infinity();
    return limit > 0 ? drop / limit : std::numeric_limits<double>::infinity();
  }
};

// Over the trials that were done; a drop that is not finite makes the mean infinite.
double largest_mean_drop(const ResultFile& campaign, std::int64_t point) {
  double largest = std::numeric_limits<double>::quiet_NaN();
  for (const auto& trial : campaign.trials()) {
    if (trial.point != point || trial.outcome != Outcome::done) continue;
    const double mean =
        std::isfinite(trial.drop_max) ? trial.drop_sum / static_cast<double>(campaign.samples()) : INFINITY;
    if (!(mean <= largest)) largest = mean;
  }
  return largest;
}

CheckRow check(const ResultFile& campaign, const PointRow& point, const Margins& margins,
               const ResultFile& bounds, const BoundGroup& bound, std::size_t entry) {
  CheckRow row;
  row.point = point.index;
  row.bound = bound.name;
  row.threat = point.threat;

  const auto pairs = campaign.pair_margins(point.format_index);
  const auto value = bounds.bound_value(bound, entry);
  const auto exact = margin_drop_bound(pairs, value, campaign.labels());
  MatrixD total = value;
  if (bound.arithmetic) total += bounds.bound_arithmetic(bound, entry);
  const auto limit = margin_drop_bound(pairs, total, campaign.labels());

  std::vector<double> tightness;
  double worst = -1;
  bool worst_violated = false;
  for (Index n = 0; n < campaign.samples(); ++n) {
    const auto i = static_cast<std::size_t>(n);
    if (margins.worst_trial[i] < 0) continue;
    ++row.compared;
    row.tolerance = std::max(row.tolerance, limit(n) - exact(n));
    const Reading margin{margins.worst_drop[i], limit(n), margins.worst_trial[i]};
    Reading pair{margins.worst_pair_drop[i], total(n, margins.worst_pair_class[i]),
                 margins.worst_pair_trial[i]};
    const bool violated = margin.violated() || pair.violated();
    if (violated) ++row.violated;
    tightness.push_back(margin.ratio());

    const auto& reading = pair.violated() && pair.ratio() > margin.ratio() ? pair : margin;
    const double ratio = reading.ratio();
    if (violated < worst_violated || (violated == worst_violated && ratio <= worst)) continue;
    worst = ratio;
    worst_violated = violated;
    row.worst_sample = n;
    row.worst_trial = reading.trial;
    row.worst_drop = reading.drop;
    row.worst_bound = reading.limit;
  }
  const double none = std::numeric_limits<double>::quiet_NaN();
  if (!bound.mean.empty() && !point.per_sample) {
    row.mean_bound = bound.mean[entry] + bound.mean_arithmetic[entry];
    row.mean_drop = largest_mean_drop(campaign, point.index);
  }
  row.tightness_max = tightness.empty() ? none : *std::max_element(tightness.begin(), tightness.end());
  row.tightness = tightness.empty() ? std::vector<double>(std::size(check_quantiles), none)
                                    : quantiles(tightness, check_quantiles);
  return row;
}

}  // namespace

std::optional<std::size_t> covering_threat(const ResultFile& campaign, const PointRow& point,
                                           const ResultFile& bounds, const BoundGroup& bound) {
  const auto& small = threat_of(campaign, point.threat);
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < bound.threats.size(); ++i) {
    const auto& large = threat_of(bounds, bound.threats[i]);
    if (format_of(campaign, small) != format_of(bounds, large)) continue;
    if (large.key == small.key) return i;
    if (!contains(large, small)) continue;
    if (!best || large.severity < threat_of(bounds, bound.threats[*best]).severity) best = i;
  }
  return best;
}

std::vector<CheckRow> compare(const ResultFile& campaign, const ResultFile& bounds) {
  check_same_origin(campaign, bounds);
  std::vector<CheckRow> rows;
  for (const auto& point : campaign.points()) {
    std::optional<Margins> margins;
    for (const auto& bound : bounds.bounds()) {
      const auto entry = covering_threat(campaign, point, bounds, bound);
      if (!entry) continue;
      if (!margins) margins = campaign.margins(point.index);
      rows.push_back(check(campaign, point, *margins, bounds, bound, *entry));
    }
  }
  return rows;
}

std::vector<Unchecked> unchecked(const ResultFile& campaign, const ResultFile& bounds) {
  std::vector<Unchecked> rows;
  for (const auto& point : campaign.points()) {
    const auto& threat = threat_of(campaign, point.threat);
    for (const auto& bound : bounds.bounds()) {
      if (covering_threat(campaign, point, bounds, bound)) continue;
      std::string reason;
      for (std::size_t i = 0; i < bound.refused.size(); ++i) {
        const auto& refused = threat_of(bounds, bound.refused[i]);
        if (refused.key == threat.key && format_of(bounds, refused) == format_of(campaign, threat)) {
          reason = bound.reasons[i];
        }
      }
      if (reason.empty() && threat.ball == "bits") {
        reason = "flipped bits of stored codes: no bound of the real-valued kind";
      }
      if (reason.empty()) {
        reason =
            "no bound for a set that contains " + threat.key + " in format " + format_of(campaign, threat);
      }
      rows.push_back({point.index, bound.name, reason});
    }
  }
  return rows;
}

}  // namespace temblor
