#pragma once

#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {

/// kl(q || p) of two coins: q ln(q / p) + (1 - q) ln((1 - q) / (1 - p)); q, p in [0, 1], 0 ln 0 = 0.
double binary_kl(double q, double p);
/// The largest p in [q, 1] with kl(q || p) <= limit, rounded up; limit >= 0.
double kl_inverse(double q, double limit);

/// What a PAC-Bayes estimate is made of.
struct PacBayesPlan {
  std::vector<double> sigma;  ///< standard deviations tried, in units of a weight
  std::int64_t draws = 200;   ///< networks drawn a sigma
  Index images = 256;         ///< training images each of them is shown, drawn anew with replacement
  double delta = 0.05;
};

/// Gaussian posterior N(W, sigma^2) and prior N(W_0, sigma^2) on all parameters.
struct PacBayesRow {
  double sigma = 0;
  double divergence = 0;  ///< KL(posterior || prior) = norm_2(W - W_0)^2 / (2 sigma^2)
  double sampled = 0;     ///< mean error of the networks drawn, on training images
  double error = 0;       ///< upper limit on the posterior's training error, from the draws
  double bound = 0;       ///< upper limit on the posterior's error on new images
  bool vacuous() const { return !(bound < 1); }
};

/// For each sigma, with S the number of them, n the number of training images and K that of draws:
///   kl(sampled || error) <= ln(2 S / delta) / K                                    (Chernoff; half of delta)
///   kl(error || bound) <= (divergence + ln(4 S sqrt(n) / delta)) / n               (the other half)
/// The second line is the PAC-Bayes theorem in the form of Maurer (2004), after Langford, Seeger (2001) and
/// McAllester (1999): with probability 1 - delta over images and draws all rows hold at once. They are about
/// a network whose weights are drawn anew for every image, not about the network itself, and W_0 and the
/// sigmas must not depend on the images. `prior` null: W_0 = 0. n >= 8. Draws run in parallel, sums are
/// folded in index order.
std::vector<PacBayesRow> pac_bayes(const Network& network, const Network* prior, const Dataset& data,
                                   const PacBayesPlan& plan, const Stream& stream);

}  // namespace temblor
