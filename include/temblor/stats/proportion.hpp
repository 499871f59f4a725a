#pragma once

#include <cstdint>

namespace temblor {

/// A two-sided confidence interval, lower <= upper.
struct ConfidenceInterval {
  double lower;
  double upper;
};

/// Two-sided quantile of the standard normal: P(|Z| <= z) = confidence. 1.96 for 0.95. confidence in (0, 1).
double normal_quantile(double confidence);

/// Wilson's score interval (J. Am. Stat. Assoc. 22, 1927) without continuity correction, for `successes` of
/// `trials` independent trials. Mean coverage is close to `confidence`; coverage of a single probability may
/// be below it. No trials: [0, 1]. 0 <= successes <= trials and confidence in (0, 1), else an internal error.
ConfidenceInterval wilson(std::int64_t successes, std::int64_t trials, double confidence = 0.95);

/// Clopper and Pearson's exact interval (Biometrika 26, 1934), from beta quantiles. Covers every probability
/// with at least `confidence`, hence wider than wilson(). Same conventions.
ConfidenceInterval clopper_pearson(std::int64_t successes, std::int64_t trials, double confidence = 0.95);

/// Sample size of statistical fault injection (Leveugle, Calvez, Maistri, Vanhauwaert, DATE 2009): the number
/// of faults to draw without replacement from `population`, so that the estimated proportion is within
/// +-`error` with this confidence: n = N / (1 + e^2 (N-1) / (t^2 p (1-p))), rounded up. p = 0.5 is the safe
/// guess; the true p may be given. population >= 1, error and expected and confidence in (0, 1), else an
/// internal error.
std::int64_t sample_size(std::int64_t population, double error, double confidence = 0.95,
                         double expected = 0.5);

/// The half width that `samples` of `population` reach: the same equation solved for e. 0 when all are drawn.
double sampling_error(std::int64_t population, std::int64_t samples, double confidence = 0.95,
                      double expected = 0.5);

}  // namespace temblor
