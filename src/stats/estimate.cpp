#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/students_t.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/stats/estimate.hpp>

namespace temblor {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();

/// The Wilson or Clopper-Pearson interval of `share` of `trials`, which need not be whole numbers.
ConfidenceInterval interval_of(double share, double trials, IntervalMethod method, double confidence) {
  if (method == IntervalMethod::wilson) {
    const double z = normal_quantile(confidence);
    const double centre = (share + z * z / (2 * trials)) / (1 + z * z / trials);
    const double half =
        z / (1 + z * z / trials) * std::sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials));
    return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
  }
  using boost::math::beta_distribution;
  const double tail = (1 - confidence) / 2;
  const double hits = share * trials;
  return {quantile(beta_distribution<>(hits, trials - hits + 1), tail),
          quantile(complement(beta_distribution<>(hits + 1, trials - hits), tail))};
}

double student_quantile(double degrees, double confidence) {
  return quantile(complement(boost::math::students_t(degrees), (1 - confidence) / 2));
}

/// Of n >= 2 trials with mean share p and standard deviation s.
ConfidenceInterval cluster_interval(double p, double s, std::int64_t n, IntervalMethod method,
                                    double confidence) {
  if (s == 0) {
    const double unseen = clopper_pearson(0, n, confidence).upper;
    return {p * (1 - unseen), p + (1 - p) * unseen};
  }
  const double ratio = normal_quantile(confidence) / student_quantile(static_cast<double>(n - 1), confidence);
  const double effective = p * (1 - p) * static_cast<double>(n) / (s * s) * ratio * ratio;
  return interval_of(p, effective, method, confidence);
}

/// Squared contributions of a stratum to both sides of the combined interval.
struct Sides {
  double below = 0;
  double above = 0;
};

Sides sides_of(const StratumPrior& stratum, double weight, std::int64_t n, double confidence) {
  const auto interval =
      n < 2 ? ConfidenceInterval{0, 1}
            : cluster_interval(stratum.rate, stratum.deviation, n, IntervalMethod::wilson, confidence);
  return {std::pow(weight * (stratum.rate - interval.lower), 2),
          std::pow(weight * (interval.upper - stratum.rate), 2)};
}

double half_width(const std::vector<Sides>& sides) {
  Sides sum;
  for (const auto& side : sides) {
    sum.below += side.below;
    sum.above += side.above;
  }
  return (std::sqrt(sum.below) + std::sqrt(sum.above)) / 2;
}

struct Sums {
  double population = 0;
  double deviation = 0;  ///< sum W_h s_h
  double variance = 0;   ///< sum W_h s_h^2
};

Sums sums_of(std::span<const StratumPrior> strata) {
  Sums sums;
  for (const auto& stratum : strata) {
    ensure(stratum.population >= 1 && stratum.deviation >= 0, "a stratum has members and a deviation");
    sums.population += static_cast<double>(stratum.population);
  }
  for (const auto& stratum : strata) {
    const double weight = static_cast<double>(stratum.population) / sums.population;
    sums.deviation += weight * stratum.deviation;
    sums.variance += weight * stratum.deviation * stratum.deviation;
  }
  return sums;
}

}  // namespace

std::string to_text(IntervalMethod method) {
  return method == IntervalMethod::wilson ? "wilson" : "clopper-pearson";
}

IntervalMethod parse_interval(const std::string& text, const std::string& what) {
  for (const auto method : {IntervalMethod::wilson, IntervalMethod::clopper_pearson}) {
    if (text == to_text(method)) return method;
  }
  unknown_name(what, text, {"wilson", "clopper-pearson"});
}

double parse_share(const std::string& text, const std::string& what) {
  const bool percent = !text.empty() && text.back() == '%';
  const std::string number = percent ? text.substr(0, text.size() - 1) : text;
  const double value = parse_real(number, what, 0, percent ? 100 : 1) / (percent ? 100 : 1);
  if (value <= 0 || value >= 1)
    usage_error(what + " " + text, "it is a share between 0 and 1, both left out", "as in 0.05, or 5%");
  return value;
}

Estimate event_share(std::int64_t hits, std::int64_t trials, IntervalMethod method, double confidence) {
  const double value = trials > 0 ? static_cast<double>(hits) / static_cast<double>(trials) : none;
  const auto interval = method == IntervalMethod::wilson ? wilson(hits, trials, confidence)
                                                         : clopper_pearson(hits, trials, confidence);
  return {value, interval, trials, trials > 0 ? to_text(method) : "none"};
}

Estimate cluster_share(const Moments& shares, IntervalMethod method, double confidence) {
  const std::int64_t n = shares.count();
  ensure(shares.not_finite() == 0 && (n == 0 || (shares.least() >= 0 && shares.most() <= 1)),
         "shares lie in [0, 1]");
  if (n < 2) return {n == 0 ? none : shares.mean(), {0, 1}, n, "none"};
  const double deviation = shares.least() == shares.most() ? 0.0 : shares.deviation();
  return {shares.mean(), cluster_interval(shares.mean(), deviation, n, method, confidence), n,
          "cluster " + to_text(method)};
}

Estimate stratified_share(std::span<const StratumShare> strata) {
  ensure(!strata.empty(), "a population has strata");
  Estimate sum{0, {0, 1}, 0, "stratified " + strata.front().estimate.method};
  double below = 0;
  double above = 0;
  for (const auto& [weight, of] : strata) {
    sum.trials += of.trials;
    sum.value += weight * of.value;
    below += std::pow(weight * (of.value - of.interval.lower), 2);
    above += std::pow(weight * (of.interval.upper - of.value), 2);
  }
  if (std::isnan(sum.value)) {
    sum.method = "none";
  } else {
    sum.interval = {std::max(0.0, sum.value - std::sqrt(below)), std::min(1.0, sum.value + std::sqrt(above))};
  }
  return sum;
}

std::int64_t stratified_size(std::span<const StratumPrior> strata, double error, double confidence,
                             bool neyman) {
  ensure(error > 0 && error < 1, "an error margin lies in (0, 1)");
  const Sums sums = sums_of(strata);
  const double t = normal_quantile(confidence);
  const double variance = error * error / (t * t) + sums.variance / sums.population;
  const double n = (neyman ? sums.deviation * sums.deviation : sums.variance) / variance;
  return static_cast<std::int64_t>(std::clamp(std::ceil(n), 1.0, sums.population));
}

std::vector<std::int64_t> allocate(std::span<const StratumPrior> strata, std::int64_t n, bool neyman,
                                   std::int64_t least) {
  std::vector<double> size;
  for (const auto& stratum : strata)
    size.push_back(static_cast<double>(stratum.population) * (neyman ? stratum.deviation : 1.0));
  std::vector<std::int64_t> trials(strata.size(), -1);
  auto left = static_cast<double>(n);
  // A stratum that its share would exhaust is taken whole; what it does not need goes to the others.
  for (bool again = true; again;) {
    again = false;
    double all = 0;
    for (std::size_t h = 0; h < strata.size(); ++h) all += trials[h] < 0 ? size[h] : 0;
    const double scale = all > 0 ? std::max(0.0, left) / all : 0;
    for (std::size_t h = 0; h < strata.size(); ++h) {
      if (trials[h] >= 0 || size[h] * scale < static_cast<double>(strata[h].population)) continue;
      trials[h] = strata[h].population;
      left -= static_cast<double>(trials[h]);
      again = true;
    }
    if (again) continue;
    for (std::size_t h = 0; h < strata.size(); ++h) {
      if (trials[h] >= 0) continue;
      // Shares that are whole but for rounding stay as they are.
      const auto share = static_cast<std::int64_t>(std::ceil(size[h] * scale * (1 - 1e-12)));
      trials[h] = std::max(share, std::min(least, strata[h].population));
    }
  }
  return trials;
}

double expected_half_width(std::span<const StratumPrior> strata, std::span<const std::int64_t> trials,
                           double confidence) {
  ensure(strata.size() == trials.size(), "one number of trials a stratum");
  const double population = sums_of(strata).population;
  std::vector<Sides> sides;
  for (std::size_t h = 0; h < strata.size(); ++h) {
    const double weight = static_cast<double>(strata[h].population) / population;
    sides.push_back(sides_of(strata[h], weight, trials[h], confidence));
  }
  return half_width(sides);
}

void raise_to(std::span<const StratumPrior> strata, double error, double confidence,
              std::vector<std::int64_t>& trials) {
  ensure(strata.size() == trials.size(), "one number of trials a stratum");
  const double population = sums_of(strata).population;
  struct Step {
    std::int64_t trials;
    Sides sides;
  };
  const auto side = [&](std::size_t h, std::int64_t n) {
    return sides_of(strata[h], static_cast<double>(strata[h].population) / population, n, confidence);
  };
  const auto step = [&](std::size_t h) {
    const auto next = std::min(strata[h].population, trials[h] + trials[h] / 8 + 1);
    return Step{next, side(h, next)};
  };
  std::vector<Sides> sides;
  std::vector<Step> steps;
  for (std::size_t h = 0; h < strata.size(); ++h) {
    sides.push_back(side(h, trials[h]));
    steps.push_back(step(h));
  }
  while (half_width(sides) > error) {
    std::size_t best = strata.size();
    double most = 0;
    for (std::size_t h = 0; h < strata.size(); ++h) {
      const auto more = static_cast<double>(steps[h].trials - trials[h]);
      if (more == 0) continue;
      const double gain =
          (sides[h].below + sides[h].above - steps[h].sides.below - steps[h].sides.above) / more;
      if (best < strata.size() && gain <= most) continue;
      best = h;
      most = gain;
    }
    if (best == strata.size()) return;
    trials[best] = steps[best].trials;
    sides[best] = steps[best].sides;
    steps[best] = step(best);
  }
}

}  // namespace temblor
