#include <cmath>
#include <functional>

#include <catch2/catch.hpp>
#include <support/statistics.hpp>

#include <temblor/random/stream.hpp>
#include <temblor/stats/estimate.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// The share of images of one trial.
using Draw = std::function<double(Stream&)>;

struct Population {
  const char* name;
  double mean;
  Draw draw;
};

/// Shares of 50 images, each image on its own with the trial's probability.
double of_images(Stream& stream, double p) {
  int hits = 0;
  for (int i = 0; i < 50; ++i) hits += stream.uniform() < p ? 1 : 0;
  return hits / 50.0;
}

const std::vector<Population>& populations() {
  static const std::vector<Population> table{
      {"trials that change all images or none", 0.2,
       [](Stream& stream) { return stream.uniform() < 0.2 ? 1.0 : 0.0; }},
      {"trials that break down now and then", 0.85 * 0.1 + 0.01 * 0.9,
       [](Stream& stream) { return of_images(stream, stream.uniform() < 0.1 ? 0.85 : 0.01); }},
      {"trials alike but for their images", 0.1, [](Stream& stream) { return of_images(stream, 0.1); }},
      {"trials of all degrees", 0.5, [](Stream& stream) { return stream.uniform(); }},
  };
  return table;
}

using Interval = std::function<ConfidenceInterval(const std::vector<double>&)>;

/// How many of `campaigns` of `trials` trials have an interval that holds the mean.
std::int64_t covered(const Population& of, std::int64_t campaigns, std::size_t trials, Stream& stream,
                     const Interval& interval) {
  std::int64_t count = 0;
  std::vector<double> shares(trials);
  for (std::int64_t c = 0; c < campaigns; ++c) {
    for (auto& share : shares) share = of.draw(stream);
    const auto found = interval(shares);
    count += found.lower <= of.mean && of.mean <= found.upper ? 1 : 0;
  }
  return count;
}

ConfidenceInterval cluster(const std::vector<double>& shares, IntervalMethod method) {
  Moments sum;
  for (const double share : shares) sum.add(share);
  return cluster_share(sum, method).interval;
}

/// Images taken for independent: the mistake that clusters are there to avoid.
ConfidenceInterval pooled(const std::vector<double>& shares) {
  double hits = 0;
  for (const double share : shares) hits += 50 * share;
  return wilson(std::llround(hits), static_cast<std::int64_t>(50 * shares.size()));
}

}  // namespace

TEST_CASE("intervals over trials hold the mean of a share as often as they say; over images they do not") {
  Stream stream(test_seed(), {11, 0, 0});
  constexpr std::int64_t campaigns = 1000;
  for (const auto& of : populations()) {
    for (const std::size_t trials : {30UL, 120UL}) {
      CAPTURE(of.name, trials);
      const auto by = [&](IntervalMethod method) {
        return covered(of, campaigns, trials, stream,
                       [method](const auto& shares) { return cluster(shares, method); });
      };
      // Wilson's is 95 % on the mean of all probabilities: at one of them a little less is no mistake.
      CHECK(binomial_z(by(IntervalMethod::wilson), campaigns, 0.935) > -5);
      CHECK(binomial_z(by(IntervalMethod::clopper_pearson), campaigns, 0.95) > -5);
    }
  }
  for (const std::size_t broken : {0UL, 1UL, 3UL}) {
    CAPTURE(populations()[broken].name);
    CHECK(binomial_z(covered(populations()[broken], campaigns, 100, stream, pooled), campaigns, 0.935) < -5);
  }
}

TEST_CASE("intervals of events hold the probability as often as they say") {
  Stream stream(test_seed(), {12, 0, 0});
  constexpr std::int64_t campaigns = 2000;
  for (const double p : {0.02, 0.1, 0.5, 0.93}) {
    for (const std::int64_t trials : {50, 400}) {
      CAPTURE(p, trials);
      std::int64_t score = 0;
      std::int64_t exact = 0;
      for (std::int64_t c = 0; c < campaigns; ++c) {
        std::int64_t hits = 0;
        for (std::int64_t t = 0; t < trials; ++t) hits += stream.uniform() < p ? 1 : 0;
        const auto holds = [&](IntervalMethod method) {
          const auto found = event_share(hits, trials, method).interval;
          return found.lower <= p && p <= found.upper ? 1 : 0;
        };
        score += holds(IntervalMethod::wilson);
        exact += holds(IntervalMethod::clopper_pearson);
      }
      CHECK(binomial_z(score, campaigns, 0.92) > -5);  // its least, near p = 1/n, is below 95 %
      CHECK(binomial_z(exact, campaigns, 0.95) > -5);
    }
  }
}

TEST_CASE("stratified intervals hold the whole population's share; equal weights would not") {
  Stream stream(test_seed(), {13, 0, 0});
  constexpr std::int64_t campaigns = 2000;
  struct Stratum {
    double weight, p;
    std::int64_t trials;
  };
  // One rare and deadly bit position, many harmless ones, some strata without a single hit.
  const std::vector<Stratum> strata{{0.03, 0.6, 60}, {0.27, 0.05, 90}, {0.4, 0.001, 40}, {0.3, 0.0, 30}};
  double truth = 0;
  for (const auto& stratum : strata) truth += stratum.weight * stratum.p;
  for (const auto method : {IntervalMethod::wilson, IntervalMethod::clopper_pearson}) {
    std::int64_t count = 0;
    std::int64_t wrong = 0;
    for (std::int64_t c = 0; c < campaigns; ++c) {
      std::vector<StratumShare> shares, equal;
      for (const auto& stratum : strata) {
        std::int64_t hits = 0;
        for (std::int64_t t = 0; t < stratum.trials; ++t) hits += stream.uniform() < stratum.p ? 1 : 0;
        const auto estimate = event_share(hits, stratum.trials, method);
        shares.push_back({stratum.weight, estimate});
        equal.push_back({0.25, estimate});
      }
      const auto holds = [&](const Estimate& found) {
        return found.interval.lower <= truth && truth <= found.interval.upper ? 1 : 0;
      };
      count += holds(stratified_share(shares));
      wrong += holds(stratified_share(equal));
    }
    CAPTURE(count, wrong);
    CHECK(binomial_z(count, campaigns, 0.94) > -5);
    CHECK(binomial_z(wrong, campaigns, 0.94) < -5);
  }
}

TEST_CASE("stopping at the first narrow interval costs little coverage") {
  Stream stream(test_seed(), {14, 0, 0});
  constexpr std::int64_t campaigns = 600;
  constexpr double width = 0.05;
  const auto least = static_cast<std::int64_t>(std::ceil(std::log(0.05) / std::log1p(-width)));
  for (const auto& of : populations()) {
    std::int64_t count = 0;
    for (std::int64_t c = 0; c < campaigns; ++c) {
      Moments sum;
      Estimate found{};
      do {
        for (int t = 0; t < 10; ++t) sum.add(of.draw(stream));
        found = cluster_share(sum, IntervalMethod::wilson);
      } while (sum.count() < least || found.half_width() >= width);
      count += found.interval.lower <= of.mean && of.mean <= found.interval.upper ? 1 : 0;
    }
    CAPTURE(of.name, count);
    CHECK(binomial_z(count, campaigns, 0.92) > -5);
  }
}
