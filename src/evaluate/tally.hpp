#pragma once

#include <cstdint>

#include <temblor/evaluate/evaluator.hpp>

namespace temblor {

/// The class a label is compared with when nothing moved: the lowest other one.
inline std::int32_t other_class(std::int32_t label) {
  return label == 0 ? 1 : 0;
}

/// As numpy's argmax: the first NaN, otherwise the first of the largest.
std::int32_t argmax(const float* logits, Index classes);

/// Folds one trial, image by image in index order. Images that are not added keep their golden logits.
class Tally {
 public:
  /// Prepares `samples` for a trial of evaluator `owner`.
  Tally(const Golden& golden, const Dataset& data, std::uint64_t owner, TrialSamples& samples);

  void add(std::int32_t row, const float* logits);
  TrialCounts finish();

 private:
  void count(std::int32_t row, const float* logits, bool finite, std::int32_t prediction);

  const Golden* golden_;
  const Dataset* data_;
  TrialSamples* samples_;
  TrialCounts counts_;
};

}  // namespace temblor
