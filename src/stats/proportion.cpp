#include <algorithm>
#include <cmath>

#include <boost/math/distributions/beta.hpp>
#include <boost/math/distributions/normal.hpp>

#include <temblor/base/error.hpp>
#include <temblor/stats/proportion.hpp>

namespace temblor {
namespace {

void check(std::int64_t successes, std::int64_t trials, double confidence) {
  ensure(trials >= 0 && successes >= 0 && successes <= trials, "a proportion needs 0 <= successes <= trials");
  ensure(confidence > 0 && confidence < 1, "a confidence lies in (0, 1)");
}

double spread(double confidence, double expected) {
  ensure(expected > 0 && expected < 1, "an expected proportion lies in (0, 1)");
  const double t = normal_quantile(confidence);
  return t * t * expected * (1 - expected);
}

}  // namespace

double normal_quantile(double confidence) {
  ensure(confidence > 0 && confidence < 1, "a confidence lies in (0, 1)");
  // The complement keeps full precision when the confidence is close to 1.
  return quantile(complement(boost::math::normal(), (1 - confidence) / 2));
}

ConfidenceInterval wilson(std::int64_t successes, std::int64_t trials, double confidence) {
  check(successes, trials, confidence);
  if (trials == 0) return {0, 1};
  const auto n = static_cast<double>(trials);
  const auto k = static_cast<double>(successes);
  const double z = normal_quantile(confidence);
  const double centre = (k + z * z / 2) / (n + z * z);
  const double half = z / (n + z * z) * std::sqrt(k * (n - k) / n + z * z / 4);
  return {successes == 0 ? 0.0 : std::max(0.0, centre - half),
          successes == trials ? 1.0 : std::min(1.0, centre + half)};
}

ConfidenceInterval clopper_pearson(std::int64_t successes, std::int64_t trials, double confidence) {
  check(successes, trials, confidence);
  const auto n = static_cast<double>(trials);
  const auto k = static_cast<double>(successes);
  const double tail = (1 - confidence) / 2;
  using boost::math::beta_distribution;
  const double lower = successes == 0 ? 0.0 : quantile(beta_distribution<>(k, n - k + 1), tail);
  const double upper =
      successes == trials ? 1.0 : quantile(complement(beta_distribution<>(k + 1, n - k), tail));
  return {lower, upper};
}

std::int64_t sample_size(std::int64_t population, double error, double confidence, double expected) {
  ensure(population >= 1, "a population has at least one member");
  ensure(error > 0 && error < 1, "an error margin lies in (0, 1)");
  const auto n = static_cast<double>(population);
  return static_cast<std::int64_t>(
      std::ceil(n / (1 + error * error * (n - 1) / spread(confidence, expected))));
}

double sampling_error(std::int64_t population, std::int64_t samples, double confidence, double expected) {
  ensure(samples >= 1 && samples <= population, "a sample holds 1 to all members of its population");
  if (samples == population) return 0;
  const auto n = static_cast<double>(population);
  return std::sqrt((n / static_cast<double>(samples) - 1) * spread(confidence, expected) / (n - 1));
}

}  // namespace temblor
