#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>
#include <unordered_set>

#include <Random123/philox.h>

#include <temblor/base/error.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {
namespace {

/// A Fisher-Yates order of {0..n-1} of which only the first entries are asked for: a table, open addressing,
/// of the entries that are no longer themselves.
class SparsePermutation {
 public:
  explicit SparsePermutation(double expected) {
    // More than expected makes the table grow; nothing but memory depends on this guess.
    const auto entries = static_cast<std::uint64_t>(std::min(expected, 0x1p28));
    slots_.resize(std::bit_ceil(2 * entries + 16));
  }

  /// The entry at `slot`; the one at `last` moves there. `last` is not asked for again.
  std::uint64_t take(std::uint64_t slot, std::uint64_t last) {
    if (2 * (used_ + 1) > slots_.size()) grow();
    const std::uint64_t moved = find(last).key == last + 1 ? find(last).value : last;
    Slot& own = find(slot);
    const std::uint64_t taken = own.key == 0 ? slot : own.value;
    used_ += own.key == 0 ? 1 : 0;
    own = {slot + 1, moved};
    return taken;
  }

 private:
  struct Slot {
    std::uint64_t key = 0;  ///< index + 1; 0 when free
    std::uint64_t value = 0;
  };

  Slot& find(std::uint64_t i) {
    const std::uint64_t mask = slots_.size() - 1;
    std::uint64_t at = (i * 0x9e3779b97f4a7c15ULL) >> 20U & mask;  // the golden ratio spreads neighbours
    while (slots_[at].key != 0 && slots_[at].key != i + 1) at = (at + 1) & mask;
    return slots_[at];
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.key != 0) find(slot.key - 1) = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
};

}  // namespace

Stream::Stream(std::uint64_t seed, StreamId id) : seed_(seed), id_(id) {}

Stream Stream::substream(std::uint32_t stream) const {
  StreamId id = id_;
  id.stream = stream;
  return {seed_, id};
}

Stream Stream::across_points() const {
  StreamId id = id_;
  id.point = 0xffffffffU;
  return {seed_, id};
}

void Stream::refill() {
  ensure(draw_ <= 0xffffffffULL, "a random stream gives at most 2^34 words");
  const r123::Philox4x32::ctr_type counter{
      {static_cast<std::uint32_t>(draw_), id_.stream, id_.trial, id_.point}};
  const r123::Philox4x32::key_type key{
      {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32U)}};
  const auto block = r123::Philox4x32{}(counter, key);
  std::copy(block.begin(), block.end(), block_.begin());
  ++draw_;
  used_ = 0;
}

std::uint32_t Stream::word() {
  if (used_ == block_.size()) refill();
  return block_[used_++];
}

std::uint64_t Stream::word64() {
  const std::uint64_t low = word();
  return low | (static_cast<std::uint64_t>(word()) << 32U);
}

double Stream::uniform() {
  // The largest of the 2^53 midpoints rounds to 1: it becomes the largest double below.
  return std::min((static_cast<double>(word64() >> 11U) + 0.5) * 0x1p-53, 1 - 0x1p-53);
}

double Stream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t Stream::below(std::uint64_t n) {
  ensure(n >= 1, "below(n) needs n >= 1");
  const std::uint64_t excess = (0 - n) % n;  // 2^64 mod n: the first `excess` words are the biased ones
  for (;;) {
    const std::uint64_t word = word64();
    if (word >= excess) return word % n;
  }
}

std::vector<std::uint64_t> choose_distinct(Stream& stream, std::uint64_t n, std::uint64_t k) {
  ensure(k <= n, "choose_distinct(n, k) needs k <= n");
  std::unordered_set<std::uint64_t> chosen;
  for (std::uint64_t top = n - k; top < n; ++top) {
    if (!chosen.insert(stream.below(top + 1)).second) chosen.insert(top);
  }
  std::vector<std::uint64_t> sorted(chosen.begin(), chosen.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<std::uint64_t> choose_each(Stream& stream, std::uint64_t n, double p) {
  ensure(p >= 0 && p <= 1, "choose_each(n, p) needs p in [0, 1]");
  std::vector<std::uint64_t> chosen;
  if (p == 0) return chosen;
  if (p == 1) {
    chosen.resize(n);
    std::iota(chosen.begin(), chosen.end(), std::uint64_t{0});
    return chosen;
  }
  const double scale = 1.0 / std::log1p(-p);
  for (std::uint64_t next = 0;;) {
    const double skip = std::floor(std::log(stream.uniform()) * scale);
    if (skip >= static_cast<double>(n - next)) return chosen;
    next += static_cast<std::uint64_t>(skip);
    chosen.push_back(next);
    if (++next == n) return chosen;
  }
}

std::vector<Arrival> choose_nested(Stream stream, std::uint64_t n, double p) {
  ensure(p >= 0 && p <= 1, "choose_nested(n, p) needs p in [0, 1]");
  std::vector<Arrival> arrivals;
  SparsePermutation order(static_cast<double>(n) * p);
  const double last = std::log1p(-p);
  double log_left = 0;  // log(1 - hash): the least of m uniforms on (t, 1) leaves (1 - t) U^(1/m)
  for (std::uint64_t left = n; left > 0; --left) {
    log_left += std::log(stream.uniform()) / static_cast<double>(left);
    if (log_left < last) break;
    const std::uint64_t slot = stream.below(left);
    arrivals.push_back({order.take(slot, left - 1), -std::expm1(log_left), stream.word64()});
  }
  std::sort(arrivals.begin(), arrivals.end(),
            [](const Arrival& a, const Arrival& b) { return a.position < b.position; });
  return arrivals;
}

std::vector<std::uint32_t> permutation(Stream& stream, std::uint32_t n) {
  std::vector<std::uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  for (std::uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
  return order;
}

}  // namespace temblor
