#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <temblor/stats/proportion.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {

/// How intervals of shares are computed.
enum class IntervalMethod { wilson, clopper_pearson };
std::string to_text(IntervalMethod method);  ///< "wilson", "clopper-pearson"
/// Usage error naming `what` otherwise.
IntervalMethod parse_interval(const std::string& text, const std::string& what);
/// "95%" or "0.95": a confidence in (0, 1), or another share. Usage error naming `what` otherwise.
double parse_share(const std::string& text, const std::string& what);

/// A share in [0, 1], estimated from trials, with its two-sided interval.
struct Estimate {
  double value;  ///< NaN when there are no trials
  ConfidenceInterval interval;
  std::int64_t trials;  ///< that were looked at
  std::string method;   ///< "wilson", "cluster wilson", ...; "none" when the interval says nothing

  double half_width() const { return (interval.upper - interval.lower) / 2; }
};

/// Of an event that each trial has or has not: Wilson or Clopper-Pearson. hits <= trials.
Estimate event_share(std::int64_t hits, std::int64_t trials, IntervalMethod method, double confidence = 0.95);

/// Mean of a share of each trial, as that of the images whose prediction changed. Images of one trial see the
/// same fault: they are a cluster, and only trials are independent. The interval is Wilson's or
/// Clopper-Pearson's with the effective number of trials p (1-p) / Var(mean), corrected for the degrees of
/// freedom of the variance by (z/t)^2 (Korn and Graubard, Survey Methodology 24, 1998; docs/theory.md,
/// section 14). Unlike mean +- t s/sqrt(n) it stays in [0, 1], is not symmetric where shares are skewed, and
/// is the event's interval when every trial's share is 0 or 1. Trials that are all alike have no variance:
/// then as many of the unseen ones may be different, by any amount, as Clopper and Pearson allow after none
/// in n. One trial alone says nothing: [0, 1].
Estimate cluster_share(const Moments& shares, IntervalMethod method, double confidence = 0.95);

/// One stratum of a population.
struct StratumShare {
  double weight;  ///< share of the population; all sum to 1
  Estimate estimate;
};
/// Share of the whole population from independent estimates in its strata: sum of weight * share, with the
/// interval recovered from those of the strata (method of variance estimates recovery; Zou and Donner, Stat.
/// Med. 27, 2008; Yan and Su, Stat. Biopharm. Res. 2, 2010): lower = p - sqrt(sum (w_h (p_h - l_h))^2), upper
/// likewise. Value NaN and interval [0, 1] when a stratum has no trials.
Estimate stratified_share(std::span<const StratumShare> strata);

/// What is known of a stratum before it is sampled.
struct StratumPrior {
  std::int64_t population;
  double rate;       ///< expected share
  double deviation;  ///< standard deviation of one trial's share: sqrt(p (1-p)) of an event
};
/// Trials in all for a half width `error` of the stratified estimate at this confidence, with finite
/// population correction (Cochran, Sampling Techniques, 1977, sections 5.5 and 5.9): proportional allocation
/// n = S2 / (e^2/t^2 + S2/N), S2 = sum W_h s_h^2; Neyman n = (sum W_h s_h)^2 / (e^2/t^2 + S2/N). At least 1,
/// at most the population.
std::int64_t stratified_size(std::span<const StratumPrior> strata, double error, double confidence,
                             bool neyman);
/// Shares n trials out: proportional to N_h, or by Neyman to N_h s_h (never more than N_h, the rest to the
/// others); rounded up, at least min(least, N_h) each, so that the sum may exceed n.
std::vector<std::int64_t> allocate(std::span<const StratumPrior> strata, std::int64_t n, bool neyman,
                                   std::int64_t least);
/// Half width that stratified_share is expected to have after so many independent draws: from cluster
/// intervals at the expected shares and deviations.
double expected_half_width(std::span<const StratumPrior> strata, std::span<const std::int64_t> trials,
                           double confidence);
/// Raises trials, where a trial gains most, until that is at most `error`, or every stratum has as many
/// trials as members. Allocations for variances alone leave heavy strata in which nothing is expected nearly
/// without trials, and then nothing is known of them.
void raise_to(std::span<const StratumPrior> strata, double error, double confidence,
              std::vector<std::int64_t>& trials);

}  // namespace temblor
