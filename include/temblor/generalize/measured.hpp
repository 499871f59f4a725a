#pragma once

#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {

/// What a network does on a set of images.
struct Performance {
  std::int64_t images = 0;
  std::int64_t wrong = 0;  ///< images without the right prediction; no prediction is wrong
  double loss = 0;         ///< mean cross-entropy; +inf when it is not finite

  double error() const { return static_cast<double>(wrong) / static_cast<double>(images); }
};
Performance performance(const Network& network, const WeightView& weights, const Dataset& data);

/// Parameters of `weight-pgd`, beyond its defaults.
struct AttackPlan {
  std::int64_t steps = 60;
  Index batch = 1000;  ///< universal: images a step
};

/// One perturbation of all weights that raises the mean loss over `train` as far as weight-pgd can.
DenseDelta worst_for_all(const Network& network, const Dataset& train, const ThreatSet& set,
                         const AttackPlan& plan, const Stream& stream);
Performance performance(const Network& network, const DenseDelta& delta, const Dataset& data);

/// Each image with the perturbation that weight-pgd finds for it alone: wrong when that one is. `loss` is
/// NaN.
Performance worst_for_each(const Network& network, const Dataset& data, const ThreatSet& set,
                           const AttackPlan& plan, const Stream& stream);

/// Mean loss under perturbations drawn uniformly from an l_inf set, one entry a draw. Draws run one after the
/// other, images in parallel.
std::vector<double> random_losses(const Network& network, const Dataset& data, const ThreatSet& set,
                                  std::int64_t draws, const Stream& stream);

}  // namespace temblor
