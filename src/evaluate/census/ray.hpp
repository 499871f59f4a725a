#pragma once

#include "../chain.hpp"

#include <cstdint>
#include <vector>

namespace temblor::census {

/// Outcomes of a fault on an image that are no class.
constexpr std::int32_t lost = -1;       ///< no prediction
constexpr std::int32_t undecided = -2;  ///< within the rounding bound of a tie: infer again
constexpr std::int32_t untraced = -3;   ///< beyond the traced reach: infer again, the drop too

/// Up to `end` (a distance from the golden pre-activation) the prediction is `code`.
struct Segment {
  double end;
  std::int32_t code;
};

/// Margin drop at a distance; linear between nodes, 0 at distance 0, constant beyond the last.
struct Node {
  double at;
  double drop;
};

/// What moving one unit's pre-activation does to every image (theory, section 11): predictions and margin
/// drops as functions of the distance, upward (side 0) and downward (side 1).
struct Rays {
  std::vector<Segment> segments[2];
  std::vector<Node> nodes[2];
  std::vector<std::uint32_t> first_segment[2];  ///< [images + 1]
  std::vector<std::uint32_t> first_node[2];     ///< [images + 1]

  void clear();
  std::int32_t code(std::size_t side, std::size_t image, double distance) const {
    const Segment* at = segments[side].data() + first_segment[side][image];
    const Segment* end = segments[side].data() + first_segment[side][image + 1];
    for (; at != end; ++at) {
      if (distance <= at->end) return at->code;
    }
    return untraced;
  }
  double drop(std::size_t side, std::size_t image, double distance) const;
  /// Largest drop / distance over distances in (0, reach], at least 0.
  double steepest(std::size_t side, std::size_t image, double reach) const;
};

/// The stages above one stage, in double, columns contiguous and padded with zeros to whole vectors.
struct Above {
  struct Level {
    Index units = 0;
    Index padded = 0;
    std::vector<double> columns;     ///< [inputs x padded]
    const Matrix* golden = nullptr;  ///< outputs before the activation, [images x units]
    Index offset = 0;                ///< of its units in one array of all levels
  };
  std::vector<Level> levels;
  Index total = 0;  ///< padded units of all levels
};

/// What float32 inference may be off by (Higham, Accuracy and Stability of Numerical Algorithms, section 3.3;
/// notation of chain.hpp). The logits are within fixed + growing * |change of the unit's output| of the
/// traced ones at the pre-activation that inference finds, and that is within own_fixed + own_growing *
/// distance of the distance asked for.
struct Guard {
  double fixed = 0;
  double growing = 0;
  double own_fixed = 0;
  double own_growing = 0;
};

class RayTracer {
 public:
  /// References must outlive the tracer. Every stage but the last has a ReLU.
  RayTracer(const Network& network, const Dataset& data, const Golden& golden, const Chain& chain,
            std::size_t stage);

  /// Traces all images upward to `reach` and downward to where the unit is dead. The last stage
  /// has no end in either direction.
  void trace(Index unit, double reach, Rays& rays) const;

  Guard guard(Index unit, Index image) const;
  const Above& above() const { return above_; }
  const Chain::Stage& stage() const { return chain_->stages[stage_]; }
  bool last() const { return above_.levels.empty(); }

 private:
  struct Walk;

  void trace_inner(Index unit, Index image, double reach, Walk& walk, Rays& rays) const;
  void trace_last(Index unit, Index image, Rays& rays) const;

  void add_rounding(const Network& network);
  void widen(const Guard& bound, Rays& rays, std::vector<Segment>& plain) const;

  const Dataset* data_;
  const Golden* golden_;
  const Chain* chain_;
  std::size_t stage_;
  Above above_;
  std::vector<double> rounding_;  ///< [images]: Guard::fixed
  std::vector<double> reach_;     ///< [units]: largest sum of absolute paths to a logit
  double steps_ = 0;              ///< roundings of the sums above, times their unit
};

}  // namespace temblor::census
