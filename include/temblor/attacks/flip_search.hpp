#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>

namespace temblor {

/// How a search's images fare.
struct FlipEffect {
  double loss = 0;           ///< what the search drives: up (untargeted) or down (targeted)
  std::int64_t correct = 0;  ///< of FlipLog::images, predicted as labelled
  std::int64_t hits = 0;     ///< of FlipLog::attacked, predicted as the search wants
};

/// One flip of a search, with what the images do after it.
struct FlipStep {
  BitFault flip{};
  FlipEffect effect;
};

/// What a search over bits did, in its own order (Perturbation::faults is sorted).
struct FlipLog {
  std::int64_t images = 0;    ///< images whose labels count
  std::int64_t attacked = 0;  ///< images that are wanted elsewhere
  FlipEffect clean;           ///< before the first flip
  std::vector<FlipStep> steps;
  std::string stop;  ///< why it ended: "flips", "accuracy", "success", "stuck"
};

/// An attack that finds its flips one after the other.
class FlipSearch : public Attack {
 public:
  /// The search behind perturb(stream), which it makes again. Const and safe to call from many threads.
  virtual FlipLog search(const Stream& stream) const = 0;
  std::optional<CodeFaults> code_faults() const override { return CodeFaults{}; }
};

}  // namespace temblor
