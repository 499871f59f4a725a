#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/stats/proportion.hpp>
#include <temblor/stats/sample.hpp>

using namespace temblor;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

struct Row {
  std::int64_t successes, trials;
  ConfidenceInterval wilson, exact;
};

}  // namespace

TEST_CASE("binomial intervals agree with Newcombe, Stat. Med. 17 (1998), Table I, methods 3 and 5") {
  const Row rows[] = {
      {81, 263, {0.2553, 0.3662}, {0.2527, 0.3676}},
      {15, 148, {0.0624, 0.1605}, {0.0578, 0.1617}},
      {0, 20, {0.0, 0.1611}, {0.0, 0.1684}},
      {1, 29, {0.0061, 0.1718}, {0.0009, 0.1776}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.successes, row.trials);
    const auto score = wilson(row.successes, row.trials);
    const auto exact = clopper_pearson(row.successes, row.trials);
    CHECK(std::abs(score.lower - row.wilson.lower) <= 0.5e-4);
    CHECK(std::abs(score.upper - row.wilson.upper) <= 0.5e-4);
    CHECK(std::abs(exact.lower - row.exact.lower) <= 0.5e-4);
    CHECK(std::abs(exact.upper - row.exact.upper) <= 0.5e-4);
  }
}

TEST_CASE("the exact interval covers every probability, Wilson's does not") {
  constexpr int n = 12;
  double least_exact = 1, least_wilson = 1;
  for (int step = 1; step < 400; ++step) {
    const double p = step / 400.0;
    double exact = 0, score = 0, mass = std::pow(1 - p, n);
    for (int k = 0; k <= n; ++k) {
      const auto cp = clopper_pearson(k, n);
      const auto w = wilson(k, n);
      if (cp.lower <= p && p <= cp.upper) exact += mass;
      if (w.lower <= p && p <= w.upper) score += mass;
      mass *= p / (1 - p) * (n - k) / (k + 1);
    }
    least_exact = std::min(least_exact, exact);
    least_wilson = std::min(least_wilson, score);
  }
  CHECK(least_exact >= 0.95);
  CHECK(least_wilson < 0.95);  // the nominal 95 % is a mean: the check above would notice a mix-up
}

TEST_CASE("intervals at the ends: nothing seen is no certainty, no trials say nothing") {
  CHECK(wilson(0, 0).lower == 0);
  CHECK(wilson(0, 0).upper == 1);
  CHECK(clopper_pearson(0, 0).upper == 1);
  CHECK(clopper_pearson(5, 5).upper == 1);
  CHECK(wilson(5, 5).upper == 1);
  // Rule of three in its exact form: 0 of n gives 1 - (tail)^(1/n).
  CHECK(clopper_pearson(0, 100).upper == Approx(1 - std::pow(0.025, 0.01)).epsilon(1e-12));
  CHECK_THROWS_AS(wilson(3, 2), Error);
  CHECK_THROWS_AS(clopper_pearson(1, 2, 1.0), Error);
}

TEST_CASE("sample sizes agree with Krejcie and Morgan, Educ. Psychol. Meas. 30 (1970), Table 1") {
  // Same equation as Leveugle et al., 95 %, e = 0.05, p = 0.5; entries that their rounding to nearest rounds
  // up.
  const std::pair<std::int64_t, std::int64_t> rows[] = {{100, 80}, {200, 132}, {1000, 278}, {10000, 370}};
  for (const auto& [population, size] : rows) {
    CAPTURE(population);
    CHECK(sample_size(population, 0.05) == size);
  }
  CHECK(sample_size(1, 0.05) == 1);
  CHECK(sample_size(std::int64_t{1} << 50, 0.01) == 9604);
  CHECK(sample_size(std::int64_t{1} << 50, 0.01, 0.99) == 16588);
}

TEST_CASE("the reached error inverts the sample size") {
  const std::int64_t population = 3548928;
  const auto n = sample_size(population, 0.01);
  CHECK(sampling_error(population, n) <= 0.01);
  CHECK(sampling_error(population, n - 1) > 0.01);
  CHECK(sampling_error(10, 10) == 0);
}

TEST_CASE("quantiles are those of definition 7") {
  // numpy.quantile([1, 2, 4, 8], ...) and R's default.
  const std::vector<double> values = {8, 1, 4, 2};
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 1) == 8);
  CHECK(quantile(values, 0.5) == 3);
  CHECK(quantile(values, 0.25) == 1.75);
  CHECK(quantile(values, 0.9) == Approx(6.8));
  CHECK(quantile(std::vector<double>{5}, 0.3) == 5);
  const std::vector<double> infinite = {0, 1, inf, inf};
  CHECK(quantile(infinite, 1.0 / 3) == 1);
  CHECK(quantile(infinite, 0.5) == inf);
  CHECK(quantile(infinite, 0.9) == inf);
  CHECK_THROWS_AS(quantile({}, 0.5), Error);
  CHECK_THROWS_AS(quantile(std::vector<double>{NAN}, 0.5), Error);
}

TEST_CASE("moments: exact on small integers, stable far from zero, merges equal one pass") {
  Moments moments;
  CHECK(std::isnan(moments.mean()));
  for (const double v : {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16}) moments.add(v);
  CHECK(moments.mean() == 1e9 + 10);
  CHECK(moments.deviation() == Approx(std::sqrt(30.0)).epsilon(1e-12));
  CHECK(moments.least() == 1e9 + 4);
  CHECK(moments.most() == 1e9 + 16);

  Moments left, right;
  for (const double v : {1.0, 2.0, 3.0}) left.add(v);
  for (const double v : {10.0, 20.0}) right.add(v);
  left.add(right);
  CHECK(left.count() == 5);
  CHECK(left.mean() == Approx(7.2));
  CHECK(left.deviation() == Approx(std::sqrt(254.8 / 4)));
}

TEST_CASE("values that are not finite are counted and never left out of a mean silently") {
  Moments moments;
  moments.add(1);
  moments.add(NAN);
  moments.add(3);
  CHECK(moments.count() == 3);
  CHECK(moments.not_finite() == 1);
  CHECK(moments.mean() == inf);
  CHECK(moments.most() == inf);
  CHECK(moments.finite_mean() == 2);
}
