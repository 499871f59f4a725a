#pragma once

#include <temblor/bounds/backward.hpp>

namespace temblor {

/// How lower slopes are sought: projected Adam (Kingma, Ba, ICLR 2015) with the derivative that
/// Backward::minimiser gives, each row and unit on its own, rate falling geometrically from 1 to 0.01.
struct SlopeSearch {
  int steps = 30;  ///< backward passes a row; 1: the cases' own slopes
};

/// The largest lower limits that `search.steps` choices of the lower slopes of hidden layers 1..layer give
/// for each row of `start`, forms on z^layer: [rows]. The first choice is the cases' own slopes, so the
/// result is never below Backward::minimum(). Every choice is sound, hence the best is. -inf where nothing is
/// known (overflow). Rows run in parallel; the result does not depend on the threads.
VectorD best_minimum(const Backward& backward, const Forms& start, std::size_t layer, const Cases& cases,
                     const SlopeSearch& search);

/// Backward::tighten() with slopes sought for each side of each unit.
void tighten_with_slopes(const Backward& backward, std::size_t m, Cases& cases, const SlopeSearch& search);

}  // namespace temblor
