#pragma once

#include <cstdint>

#include <temblor/campaign/result_file.hpp>
#include <temblor/evaluate/evaluator.hpp>

namespace temblor {

/// Takes one trial into the per-sample folds. Trials must come in ascending order: the lowest wins ties.
void fold_trial(const TrialSamples& samples, std::int64_t trial, Margins& margins);
/// Takes the folds of a later block of trials into those of all earlier ones.
void fold_block(const Margins& block, Margins& margins);

}  // namespace temblor
