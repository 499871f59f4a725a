#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// A bound on what rounding to a format does, held against what it does.
struct RoundingBound {
  std::string bound;
  std::string refused;        ///< why it does not cover the set; then the rest is 0
  std::int64_t violated = 0;  ///< images with a pair f^{yj} that drops by more than the bound allows
  std::int64_t proven = 0;    ///< images whose margin exceeds the bound: their label cannot change
  double median = 0;          ///< of the margin-drop bound over the images, logits
  double largest = 0;
  double tightness = 0;  ///< largest drop / bound over the images, at least 0
};

/// What storing a network in a format does, without any fault.
struct Rounding {
  std::string format;
  std::int64_t stored_bits = 0;  ///< of weights, scales and zero points
  std::int64_t correct = 0;
  std::int64_t changed = 0;        ///< finite logits, prediction not that of the network as given
  std::int64_t no_prediction = 0;  ///< some logit is not finite
  double margin = 0;               ///< median over the images, logits; NaN when one is not finite
  double mean_drop = 0;            ///< of the margin; +inf when one is not finite
  double largest_drop = 0;
  std::vector<RoundingBound> bounds;
};

/// Rounds every weight and holds the drops of all pairs against bounds on the box of the actual rounding
/// errors (theory, section 5). `arithmetic`: bounds with what float32 evaluation may add, without which a
/// drop may exceed one by rounding. Bad-input error where a weight is out of the format's range.
Rounding measure_rounding(const Network& network, const Dataset& data, const Format& format,
                          const std::vector<std::string>& bounds, bool arithmetic);

}  // namespace temblor
