#pragma once

#include "ray.hpp"

#include <vector>

namespace temblor::census {

/// What moving one unit far up does to every image alike: beyond the last kink of all images the slopes of
/// everything above are those of the direction alone, and float32 sums overflow at distances that depend on
/// the direction only. Nothing here depends on the image.
struct Tail {
  std::int32_t code = undecided;    ///< prediction from `from` on
  double from = 0;                  ///< distance beyond which `code` and `drop_rate` hold
  double finite_to = 0;             ///< up to this distance every partial sum above is finite
  double inner_to = 0;              ///< the same for sums below the logits
  double lost_from = 0;             ///< from here to inner_to some logit is not finite
  bool infinite_lost = false;       ///< +inf in the unit leaves no image a prediction
  std::vector<double> drop_rate{};  ///< [classes]: margin drop by the distance, for each label
  double own_finite = 0;            ///< a faulty product up to this keeps the unit's own sum finite
  double own_infinite = 0;          ///< beyond this the sum surely is not
};

Tail make_tail(const RayTracer& tracer, const Network& network, const Chain& chain, std::size_t stage,
               Index unit);

}  // namespace temblor::census
