#pragma once

#include <cstdint>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::pgd {

/// What the ascent climbs.
enum class Loss {
  cross_entropy,  ///< mean over images of log(sum_j exp(f_j)) - f_y
  margin          ///< mean over images of max_{j != y} f_j - f_y (per sample: f_j - f_y for the target j)
};

/// How a gradient g becomes a step of a layer's parameters; `step` is in units of the radius.
enum class Direction {
  sign,       ///< boxes: step R sgn(g); l2: step radius sgn(g) / sqrt(n)
  normalised  ///< boxes: step R g / rms(g); l2: step radius g / ||g||_2
};

/// Classes attacked per image by the per-sample margin loss.
enum class Target {
  runner_up,  ///< the class j != y with the largest clean logit
  nearest,    ///< the three with the largest clean logits
  all         ///< every j != y in turn
};

struct Options {
  Loss loss = Loss::cross_entropy;
  Direction direction = Direction::sign;
  Target target = Target::runner_up;  ///< per sample, margin loss
  std::int64_t steps = 100;
  double step = 0.025;  ///< in units of the radius
  std::int64_t restarts = 1;
  double soft = 0.5;        ///< per sample: share of the steps that see through ReLUs the set can switch
  std::int64_t polish = 0;  ///< per sample, boxes: sweeps that move one unit at a time to another end
  /// Per sample, boxes, chains with ReLU: subproblems of the bound `exact` a pair, whose members compete; 0:
  /// none.
  std::int64_t search = 0;
  bool random_start = true;  ///< uniform in the set; otherwise every restart begins at the base weights
  Index batch = 0;           ///< universal: images a step, 0 = all
  bool keep_accuracy =
      false;  ///< universal: keep the lowest accuracy (then loss) instead of the highest mean loss
};

/// One perturbation for the whole set by projected gradient ascent (Madry et al., ICLR 2018, on weights
/// instead of inputs). Kept is the worst over all steps and restarts: the highest mean loss over the whole
/// set, or the lowest accuracy. With minibatches both are measured after every pass over the set and after
/// the last step; otherwise at every step. Every weight stays in the set in exact arithmetic. Images run in
/// fixed blocks in parallel; sums are folded in block order, so the result does not depend on the threads.
/// Sets: linf, relative, box, l2. Any layers of the network.
DenseDelta universal(const Network& network, const Dataset& data, const ThreatSet& set,
                     const Options& options, const Stream& stream);

/// One perturbation for each image, as slack of the units (theory, 4b): the worst dW of a box given the signs
/// s of the units' changes is R_ij s_i sgn(z_j), so ascent on s alone loses nothing; p = W z + b + s (R |z| +
/// r). For the Frobenius ball p = W z + b + radius ||z||_2 u. Kept per image is the lowest margin min_{j !=
/// y} f_y - f_j, i.e. the largest margin drop, over all targets, steps, restarts and polish. The first `soft`
/// of the steps use relaxed slopes of the ReLUs that the set can switch; restarts after the first jitter
/// these slopes. Layers that are not dense have a number a weight in place of one a unit (SampleDelta), and
/// no polish. Sets: linf, relative, box, l2 and l2-row (see check_per_sample).
SampleDelta per_sample(const Network& network, const Dataset& data, const ThreatSet& set,
                       const Options& options, const Stream& stream);

/// Usage error naming the set that per_sample cannot handle, and where the numbers of all images take more
/// than 4 GiB.
void check_per_sample(const Network& network, const Dataset& data, const ThreatSet& set);

}  // namespace temblor::pgd
