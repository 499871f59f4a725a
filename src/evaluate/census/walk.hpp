#pragma once

#include "ray.hpp"

#include <utility>

namespace temblor::census {

constexpr Index lanes = 4;  ///< doubles a vector

/// Appends to a side of the last image: the prediction is `code` up to `end`. Equal neighbours merge; what
/// does not go beyond the last segment is dropped.
void emit(Rays& rays, std::size_t side, std::int32_t code, double end);

/// Follows the stages above a unit along one direction, kink by kink: values are linear between kinks, and a
/// unit that crosses 0 changes the slopes above by a rank-1 step.
struct RayTracer::Walk {
  explicit Walk(const Above& stages);

  /// Golden values of the image; slopes by the unit's own value.
  void start(Index unit, Index image);
  /// From `distance` to `limit`, upward (side 0) or downward. Appends segments and nodes; false when it
  /// stopped early because rounding made kinks without end.
  bool run(Rays& rays, std::size_t side, double distance, double limit, std::int32_t label,
           const Guard& bound);
  /// Largest logit now and its lead over the next.
  std::pair<std::int32_t, double> winner() const;

 private:
  struct Kink {
    double at;
    Index unit;
  };
  /// A unit above the first level that crosses 0 next, and how far that is.
  struct Next {
    double step;
    Index unit;  ///< of all levels; -1: none
  };

  void find_kinks(double distance, double limit);
  Next next_kink(double most) const;
  void flip(std::size_t level, Index unit);
  void piece(Rays& rays, std::size_t side, double distance, double length, std::int32_t label,
             const Guard& bound);
  void predict_piece(Rays& rays, std::size_t side, double distance, double length, const Guard& bound);
  void drop_piece(Rays& rays, std::size_t side, double distance, double length, std::int32_t label);

  const Above* above;
  std::int32_t classes;
  std::vector<double> value;   ///< of all levels; of the first level golden ones for ever
  std::vector<double> slope;   ///< by the distance walked upward
  std::vector<double> sign;    ///< 1 active, -1 not
  std::vector<double> change;  ///< temporaries of flip
  std::vector<Kink> kinks;     ///< of the first level, whose values are linear all along
  double direction = 1;
  double drop = 0;
  std::vector<double> begin;  ///< logits at the beginning of a piece
  std::vector<double> rise;   ///< their slopes along the direction
  std::vector<double> end;    ///< logits at its end
};

}  // namespace temblor::census
