#include <cmath>

#include <temblor/campaign/fold.hpp>

namespace temblor {

void fold_trial(const TrialSamples& samples, std::int64_t trial, Margins& margins) {
  for (std::size_t n = 0; n < margins.worst_drop.size(); ++n) {
    const double drop = samples.drop[n];
    if (margins.worst_trial[n] < 0 || drop > margins.worst_drop[n]) {
      margins.worst_drop[n] = drop;
      margins.worst_trial[n] = trial;
    }
    const double pair = samples.pair_drop[n];
    if (margins.worst_pair_trial[n] < 0 || pair > margins.worst_pair_drop[n]) {
      margins.worst_pair_drop[n] = pair;
      margins.worst_pair_class[n] = samples.pair_class[n];
      margins.worst_pair_trial[n] = trial;
    }
    if (std::isfinite(drop)) {
      margins.drop_sum[n] += drop;
    } else {
      ++margins.nonfinite[n];
    }
  }
}

void fold_block(const Margins& block, Margins& margins) {
  for (std::size_t n = 0; n < margins.worst_drop.size(); ++n) {
    if (block.worst_trial[n] >= 0 &&
        (margins.worst_trial[n] < 0 || block.worst_drop[n] > margins.worst_drop[n])) {
      margins.worst_drop[n] = block.worst_drop[n];
      margins.worst_trial[n] = block.worst_trial[n];
    }
    if (block.worst_pair_trial[n] >= 0 &&
        (margins.worst_pair_trial[n] < 0 || block.worst_pair_drop[n] > margins.worst_pair_drop[n])) {
      margins.worst_pair_drop[n] = block.worst_pair_drop[n];
      margins.worst_pair_class[n] = block.worst_pair_class[n];
      margins.worst_pair_trial[n] = block.worst_pair_trial[n];
    }
    margins.drop_sum[n] += block.drop_sum[n];
    margins.nonfinite[n] += block.nonfinite[n];
  }
}

}  // namespace temblor
