#include <cmath>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <boost/math/distributions/chi_squared.hpp>
#include <support/statistics.hpp>

#include <temblor/base/text.hpp>

namespace temblor::testing {

std::uint64_t test_seed() {
  const char* text = std::getenv("TEMBLOR_TEST_SEED");
  const auto seed = text == nullptr ? 20240229 : parse_integer(text, "TEMBLOR_TEST_SEED", 0);
  std::cout << "seed " << seed << " (TEMBLOR_TEST_SEED)\n";
  return static_cast<std::uint64_t>(seed);
}

double chi_square_p(std::span<const std::int64_t> counts, std::span<const double> expected) {
  if (counts.size() != expected.size() || counts.size() < 2)
    throw std::invalid_argument("chi-square needs bins");
  double statistic = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double off = static_cast<double>(counts[i]) - expected[i];
    statistic += off * off / expected[i];
  }
  const boost::math::chi_squared distribution(static_cast<double>(counts.size() - 1));
  return cdf(complement(distribution, statistic));
}

double uniform_p(std::span<const std::int64_t> counts) {
  const auto total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  const std::vector<double> expected(counts.size(),
                                     static_cast<double>(total) / static_cast<double>(counts.size()));
  return chi_square_p(counts, expected);
}

double binomial_z(std::int64_t successes, std::int64_t trials, double p) {
  const auto n = static_cast<double>(trials);
  return (static_cast<double>(successes) - n * p) / std::sqrt(n * p * (1 - p));
}

}  // namespace temblor::testing
