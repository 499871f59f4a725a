#pragma once

#include <cstdint>
#include <vector>

#include <temblor/attacks/flip_search.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/types.hpp>

namespace temblor::pbs {

/// What a search is after.
enum class Aim {
  wrong,    ///< no image as labelled: mean cross-entropy rises
  classes,  ///< attacked images to `target`: cross-entropy to it falls (Rakin et al., TPAMI 2021)
  margin    ///< the same by max(0, `margin` - (f_t - max_{j != t} f_j)) (Bai et al., ICLR 2021)
};

/// The images a search looks at: the first `attacked` rows are to move, the others to stay. For Aim::wrong
/// all are attacked and all labels count.
struct Batch {
  Aim aim = Aim::wrong;
  Matrix images;
  std::vector<std::int32_t> labels;
  Index attacked = 0;
  std::int32_t target = -1;
  double keep = 0;    ///< weight of the mean cross-entropy of the rows that are to stay
  double cap = 0;     ///< of Aim::wrong, where positive: an image's loss counts up to here, then is done with
  double margin = 0;  ///< of Aim::margin: logits of `target` must lead by this much

  bool targeted() const { return aim != Aim::wrong; }
  /// Rows whose labels count.
  Index first_kept() const { return targeted() ? attacked : 0; }
};

/// The objective over a batch; `value` is what the search maximises.
struct Score {
  double value = 0;
  std::int64_t correct = 0;
  std::int64_t hits = 0;
  bool finite = true;  ///< every logit is

  bool beats(const Score& other) const {
    return value > other.value || (value == other.value && correct < other.correct);
  }
};

/// No score can end higher when the rows of the batch from `next` on are still to be added.
double highest(const Batch& batch, const Score& score, Index next);

/// The effect as the log states it.
FlipEffect effect_of(const Batch& batch, const Score& score);

/// Adds rows [first, first + count) of the batch, whose logits are `logits` [count x classes]. An image with
/// a logit that is not finite has no prediction: it is lost, with infinite loss. Where `gradient` is non-null
/// it has the rows of the whole batch, and gets the gradient of the value (0 for lost images).
void add_rows(const Batch& batch, const RowsView& logits, Index classes, Index first, Index count,
              Score& score, Matrix* gradient = nullptr);

}  // namespace temblor::pbs
