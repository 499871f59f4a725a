#pragma once

#include <optional>
#include <string>
#include <vector>

#include <temblor/campaign/result_file.hpp>

namespace temblor {

/// Holds every point's drops against every bound that covers its threat set: `campaign` has points and
/// margins, `bounds` the bounds (the same file, or one by `temblor bound` for the same network and images:
/// refused otherwise). Rows in the order point, bound.
///
/// Per image two things are held against each other: the largest drop of one pair f^{yj} against value +
/// arithmetic of that pair, and the largest margin drop against what these pair limits allow
/// (margin_drop_bound with the golden logits). An image that exceeds either is a violation. `tolerance` is
/// what the stored float32 term adds to the margin drop, 0 where the bounds have none: nothing is forgiven by
/// hand. Tightness is margin drop / margin-drop bound, at least 0. The worst image is the one that exceeds
/// its bound by the largest factor; without violations, the tightest.
std::vector<CheckRow> compare(const ResultFile& campaign, const ResultFile& bounds);

/// The entry of bound.threats that covers a point's threat set: the equal set (same key), or the smallest
/// larger one (same ball linf, relative or l2, same layers, same or moving biases, severity not smaller),
/// around the network in the same number format. Empty when there is none.
std::optional<std::size_t> covering_threat(const ResultFile& campaign, const PointRow& point,
                                           const ResultFile& bounds, const BoundGroup& bound);

/// A point that a bound says nothing about.
struct Unchecked {
  std::int64_t point = 0;
  std::string bound;
  std::string reason;
};
std::vector<Unchecked> unchecked(const ResultFile& campaign, const ResultFile& bounds);

}  // namespace temblor
