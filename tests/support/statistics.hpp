#pragma once

#include <cstdint>
#include <span>

/// Statistical tests decide at five standard deviations and assert that a broken alternative is rejected.
namespace temblor::testing {

inline constexpr double five_sigma = 2.9e-7;  ///< one-sided tail of the normal beyond 5

/// Seed of the statistical tests: TEMBLOR_TEST_SEED when set, else a fixed one. Prints it.
std::uint64_t test_seed();

/// p-value of Pearson's chi-square test of `counts` against expectations; expected counts of 5 and more,
/// please.
double chi_square_p(std::span<const std::int64_t> counts, std::span<const double> expected);
/// The same for equal expectations.
double uniform_p(std::span<const std::int64_t> counts);
/// Standard deviations by which `successes` of Binomial(trials, p) lie off their mean.
double binomial_z(std::int64_t successes, std::int64_t trials, double p);

}  // namespace temblor::testing
