#include <cmath>
#include <numeric>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/until.hpp>
#include <temblor/stats/estimate.hpp>

using namespace temblor;

namespace {

constexpr auto score = IntervalMethod::wilson;
constexpr auto exact = IntervalMethod::clopper_pearson;

Moments moments(const std::vector<double>& values) {
  Moments sum;
  for (const double value : values) sum.add(value);
  return sum;
}

}  // namespace

TEST_CASE("an event's estimate is the proportion's interval, under its name") {
  const auto estimate = event_share(15, 148, score);
  CHECK(estimate.value == Approx(15.0 / 148));
  CHECK(estimate.interval.lower == wilson(15, 148).lower);
  CHECK(estimate.method == "wilson");
  CHECK(event_share(15, 148, exact, 0.99).interval.upper == clopper_pearson(15, 148, 0.99).upper);
  CHECK(event_share(15, 148, exact).method == "clopper-pearson");
  const auto none = event_share(0, 0, score);
  CHECK(std::isnan(none.value));
  CHECK(none.method == "none");
}

TEST_CASE("clusters of zeros and ones are events, but for Student's factor") {
  std::vector<double> shares(400, 0.0);
  std::fill(shares.begin(), shares.begin() + 40, 1.0);
  for (const auto method : {score, exact}) {
    const auto cluster = cluster_share(moments(shares), method);
    const auto event = event_share(40, 400, method);
    CHECK(cluster.value == Approx(event.value));
    CHECK(cluster.interval.lower == Approx(event.interval.lower).epsilon(0.01));
    CHECK(cluster.interval.upper == Approx(event.interval.upper).epsilon(0.01));
    CHECK(cluster.method == "cluster " + event.method);
  }
}

TEST_CASE("clusters that are nearly alike have Student's interval") {
  std::vector<double> shares;
  for (int i = 0; i < 30; ++i) shares.push_back(0.6 + 0.001 * (i % 5));
  const auto sums = moments(shares);
  const auto estimate = cluster_share(sums, score);
  const double t = 2.0452;  // Student's quantile of 29 degrees of freedom
  const double half = t * sums.deviation() / std::sqrt(30.0);
  CHECK(estimate.half_width() == Approx(half).epsilon(0.001));
  CHECK((estimate.interval.lower + estimate.interval.upper) / 2 == Approx(sums.mean()).epsilon(1e-4));
}

TEST_CASE("clusters that are all alike leave room for unseen ones, and one alone says nothing") {
  const auto alike = cluster_share(moments(std::vector<double>(100, 0.8)), score);
  const double unseen = clopper_pearson(0, 100).upper;
  CHECK(alike.value == Approx(0.8));
  CHECK(alike.interval.lower == Approx(0.8 * (1 - unseen)));
  CHECK(alike.interval.upper == Approx(0.8 + 0.2 * unseen));
  const auto zero = cluster_share(moments(std::vector<double>(100, 0.0)), exact);
  CHECK(zero.interval.lower == 0);
  CHECK(zero.interval.upper == Approx(unseen));
  const auto one = cluster_share(moments({0.5}), score);
  CHECK(one.method == "none");
  CHECK(one.interval.upper == 1);
  CHECK_THROWS_AS(cluster_share(moments({0.5, 1.5}), score), Error);
}

TEST_CASE("strata: one is the whole, several add variances by weight") {
  const auto whole = event_share(30, 200, score);
  const auto same = stratified_share(std::vector<StratumShare>{{1.0, whole}});
  CHECK(same.interval.lower == Approx(whole.interval.lower));
  CHECK(same.interval.upper == Approx(whole.interval.upper));

  const auto half = event_share(5000, 10000, score);
  const auto both = stratified_share(std::vector<StratumShare>{{0.25, half}, {0.75, half}});
  CHECK(both.value == Approx(0.5));
  CHECK(both.half_width() == Approx(half.half_width() * std::sqrt(0.25 * 0.25 + 0.75 * 0.75)));
  CHECK(both.trials == 20000);
  CHECK(both.method == "stratified wilson");

  const auto missing =
      stratified_share(std::vector<StratumShare>{{0.5, half}, {0.5, event_share(0, 0, score)}});
  CHECK(std::isnan(missing.value));
  CHECK(missing.method == "none");
}

TEST_CASE("sample sizes of strata: without pilot that of one population, by Neyman less") {
  const std::vector<StratumPrior> equal{{600000, 0.5, 0.5}, {300000, 0.5, 0.5}, {100000, 0.5, 0.5}};
  const auto whole = sample_size(1000000, 0.01, 0.99);
  CHECK(std::abs(stratified_size(equal, 0.01, 0.99, false) - whole) <= 1);
  CHECK(std::abs(stratified_size(equal, 0.01, 0.99, true) - whole) <= 1);
  const auto trials = allocate(equal, 1000, false, 2);
  CHECK(trials == std::vector<std::int64_t>{600, 300, 100});

  // Cochran: the share of N_h s_h.
  const std::vector<StratumPrior> unequal{{900000, 1e-4, 0.01}, {100000, 0.5, 0.5}};
  const auto proportional = stratified_size(unequal, 0.005, 0.95, false);
  const auto neyman = stratified_size(unequal, 0.005, 0.95, true);
  CHECK(neyman < proportional / 4);
  const auto shared = allocate(unequal, neyman, true, 2);
  CHECK(static_cast<double>(shared[1]) / static_cast<double>(shared[0]) ==
        Approx(50000.0 / 9000.0).epsilon(0.05));
  CHECK(expected_half_width(unequal, allocate(unequal, proportional, false, 2), 0.95) ==
        Approx(0.005).epsilon(0.05));
}

TEST_CASE("trials are raised where a heavy stratum would be nearly unseen, and no further than needed") {
  const std::vector<StratumPrior> strata{{500000, 0.0, 0.0}, {400000, 0.001, 0.0316}, {100000, 0.3, 0.458}};
  const auto first = allocate(strata, stratified_size(strata, 0.01, 0.95, true), true, 2);
  CHECK(first[0] == 2);
  CHECK(expected_half_width(strata, first, 0.95) > 0.1);
  auto trials = first;
  raise_to(strata, 0.01, 0.95, trials);
  CHECK(expected_half_width(strata, trials, 0.95) <= 0.01);
  CHECK(expected_half_width(strata, trials, 0.95) > 0.009);
  CHECK(trials[0] + trials[1] + trials[2] < sample_size(1000000, 0.01, 0.95, 0.0304));
  for (std::size_t h = 0; h < 3; ++h) CHECK(trials[h] >= first[h]);

  std::vector<std::int64_t> small{2, 2};
  raise_to(std::vector<StratumPrior>{{5, 0.0, 0.0}, {8, 0.5, 0.5}}, 0.001, 0.95, small);
  CHECK(small == std::vector<std::int64_t>{5, 8});  // there are no more
}

TEST_CASE("an allocation takes small strata whole and none without its least") {
  const std::vector<StratumPrior> strata{{10, 0.5, 0.5}, {1000000, 1e-6, 0.001}, {5000, 0.0, 0.0}};
  const auto trials = allocate(strata, 300, true, 2);
  CHECK(trials[0] <= 10);
  CHECK(trials[1] >= 290);
  CHECK(trials[2] == 2);
  CHECK(allocate(std::vector<StratumPrior>{{1, 0.5, 0.5}, {7, 0.5, 0.5}}, 8, false, 2) ==
        std::vector<std::int64_t>{1, 7});
}

TEST_CASE("shares as texts") {
  CHECK(parse_share("0.5%", "x") == Approx(0.005));
  CHECK(parse_share("0.05", "x") == 0.05);
  for (const auto* text : {"0", "1", "100%", "", "%", "5", "5%%", "-1%", "nan"})
    CHECK_THROWS_AS(parse_share(text, "x"), Error);
  CHECK(parse_interval("clopper-pearson", "x") == exact);
  CHECK_THROWS_AS(parse_interval("wald", "x"), Error);
}

TEST_CASE("until: texts, canonical and refused") {
  const auto until = Until::parse("ci(sdc)<0.5% and ci( accuracy , 99% ) < 0.02", "until");
  CHECK(until.text() == "ci(sdc, 0.95) < 0.005 and ci(accuracy, 0.99) < 0.02");
  CHECK(Until::parse(until.text(), "until").text() == until.text());
  CHECK(until.terms[0].least_trials() == 598);  // 0.995^598 < 0.05 < 0.995^597
  CHECK(until.least_trials() == 598);
  CHECK(Until::parse("ci(any_change) < 1%", "until").least_trials() == 1);
  for (const auto* text : {"", "sdc < 1%", "ci(sdc) > 1%", "ci(sdc)", "ci(sdc) <", "ci(sdc) < 1% and",
                           "ci(sdc, 95%, 2) < 1%", "ci(sdc, 100%) < 1%", "ci(sdc) < 0", "ci(sdc) < 1% or x"})
    CHECK_THROWS_AS(Until::parse(text, "until"), Error);
  CHECK_THROWS_WITH(Until::parse("ci(sdk) < 1%", "until"), Catch::Contains("sdc"));
}
