#include "lanes.hpp"
#include "unit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::census {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Index rows = 4 * width;  ///< images a step
static_assert(UnitCensus::chunk % rows == 0);

}  // namespace

/// Outcome of one image as counters of a byte each, so that vectors of them can be added; negative: the
/// outcome is not known without a closer look.
std::int32_t UnitCensus::pack(std::size_t image, std::int32_t code) const {
  if (code == tables_->base.golden.prediction[image]) return 0;
  if (code <= undecided) return std::numeric_limits<std::int32_t>::min();
  const std::int32_t broken = tables_->right[image] != 0 ? 1 << 8 : 0;
  if (code == lost) return broken | 1 << 24;
  return 1 | broken | (code == tables_->base.data.labels[image] ? 1 << 16 : 0);
}

void UnitCensus::prepare_large() {
  const auto images = static_cast<std::size_t>(tables_->base.data.size());
  const auto stride = static_cast<std::size_t>(tables_->stride);
  for (auto* words : {&dead_word_, &tail_word_, &lost_word_}) words->assign(stride, 0);
  for (auto* drops : {&dead_drop_, &tail_rate_}) drops->assign(stride, 0.0F);
  dead_from_ = 0;
  if (tables_->tracer.last()) return;
  for (std::size_t n = 0; n < images; ++n) {
    const std::uint32_t first = rays_.first_segment[1][n];
    const std::uint32_t end = rays_.first_segment[1][n + 1];
    if (end - first > 1) dead_from_ = std::max(dead_from_, rays_.segments[1][end - 2].end);
    const std::uint32_t node = rays_.first_node[1][n + 1];
    dead_word_[n] = pack(n, rays_.segments[1][end - 1].code);
    if (node > rays_.first_node[1][n]) {
      dead_from_ = std::max(dead_from_, rays_.nodes[1][node - 1].at);
      dead_drop_[n] = round_up(std::max(0.0, rays_.nodes[1][node - 1].drop));
    }
    lost_word_[n] = pack(n, lost);
    if (tail_.code < 0) continue;
    tail_word_[n] = pack(n, tail_.code);
    const auto label = static_cast<std::size_t>(tables_->base.data.labels[n]);
    tail_rate_[n] = round_up(std::max(0.0, tail_.drop_rate[label]));
  }
}

/// Inputs at which one thing or another happens to an image, moved inward by more than rounding.
struct UnitCensus::Zones {
  float tail_from, tail_to;  ///< upward: the tail's prediction
  float lost_from, lost_to;  ///< upward: no prediction, from the logits' overflow
  float spread_from;         ///< upward: no prediction, from the unit's own overflow
  float dead_from;           ///< downward: dead
  float own_finite;          ///< up to here the unit's own sum is finite
  float own_infinite;        ///< beyond, surely not
  float size;                ///< of the weight's change, for drops
  Masks upward;              ///< positive inputs go up

  Zones(const Tail& tail, const Fault& fault, double reach, double dead) {
    const auto above = [](double value) { return static_cast<float>(value * (1 + 1e-6)); };
    const auto below = [](double value) { return static_cast<float>(value * (1 - 1e-6)); };
    const double after = std::fabs(static_cast<double>(fault.after));
    own_finite = below(tail.own_finite / after);
    own_infinite = above(tail.own_infinite / after);
    spread_from = tail.infinite_lost ? own_infinite : std::numeric_limits<float>::infinity();
    tail_from = tail.code >= 0 ? above(std::max(tail.from, reach) / fault.size)
                               : std::numeric_limits<float>::infinity();
    tail_to = std::min(own_finite, below(tail.finite_to / fault.size));
    lost_from = above(std::max(tail.lost_from, reach) / fault.size);
    lost_to = std::min(own_finite, below(tail.inner_to / fault.size));
    dead_from = above(dead / fault.size);
    size = static_cast<float>(std::min(fault.size, 1e38));
    upward = Masks{} - (fault.delta > 0 ? 1 : 0);
  }

  Masks up(Floats inputs) const { return (inputs != 0.0F) & ~((inputs > 0.0F) ^ upward); }
  Masks lost(Floats inputs) const {
    const Floats sizes = larger(inputs, -inputs);
    return up(inputs) & (((sizes >= lost_from) & (sizes <= lost_to)) | (sizes > spread_from));
  }
};

/// A fault that moves the unit so far that what happens to an image depends on the size of its input alone.
void UnitCensus::count_large(Index input, const Fault& fault) {
  if (!std::isfinite(fault.after) || tables_->tracer.last()) {
    for (Index n = 0; n < tables_->base.data.size(); ++n) large_image(input, fault, n);
    return;
  }
  const Zones zones(tail_, fault, reach_, dead_from_);
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const std::size_t f = base_fault_ + place(input, fault.bit);
  Floats most{};
  Index first_lost = -1;
  constexpr Index block = 60 * width;  // counters of a byte hold 127
  for (Index begin = 0; begin < tables_->stride; begin += block) {
    Masks counts{};
    for (Index first = begin; first < std::min(begin + block, tables_->stride); first += rows) {
      Masks odd_rows[rows / width];
      Masks odd_ones{};
      Masks lost_ones{};
      for (Index v = first; v < first + rows; v += width) {
        const Floats x = load(z + v);
        const Floats size = larger(x, -x);
        const Masks moved = x != 0.0F;
        const Masks up = zones.up(x);
        const Masks is_lost = zones.lost(x);
        const Masks in_tail = up & (size >= zones.tail_from) & (size <= zones.tail_to);
        const Masks dead = moved & ~up & (size >= zones.dead_from) &
                           ((size <= zones.own_finite) | (size > zones.own_infinite));
        const Masks word = (in_tail & load(tail_word_.data() + v)) | (is_lost & load(lost_word_.data() + v)) |
                           (dead & load(dead_word_.data() + v));
        const Masks odd = (moved & ~(in_tail | is_lost | dead)) | (word < 0);
        counts += word & ~odd;
        odd_ones |= odd;
        lost_ones |= is_lost;
        Floats drop = in_tail ? size * load(tail_rate_.data() + v) * zones.size : Floats{};
        drop = dead ? load(dead_drop_.data() + v) : drop;
        most = larger(drop, most);
        odd_rows[(v - first) / width] = odd;
      }
      if (first_lost < 0 && any(lost_ones)) {
        first_lost = first;
        while (zones.lost(Floats{} + z[first_lost])[0] == 0) ++first_lost;
      }
      if (!any(odd_ones)) continue;
      for (Index n = first; n < first + rows; ++n) {
        if (odd_rows[(n - first) / width][(n - first) % width] != 0) large_image(input, fault, n);
      }
    }
    for (int lane = 0; lane < width; ++lane) {
      const std::int32_t word = counts[lane];
      out_->changed[f] += word & 0xff;
      out_->broken[f] += (word >> 8) & 0xff;
      out_->fixed[f] += (word >> 16) & 0xff;
      out_->no_prediction[f] += word >> 24;
    }
  }
  if (first_lost >= 0) {
    drop(place(input, fault.bit), static_cast<std::int32_t>(first_lost), infinity);
  } else if (const float top = largest(most); top > 0.0F) {
    large_drop(input, fault, zones, top);
  }
}

/// The worst drop, known in float to be about `top`.
void UnitCensus::large_drop(Index input, const Fault& fault, const Zones& zones, float top) {
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const float floor = std::isfinite(top) ? top * (1 - 1e-6F) : top;
  float seen_input = 0;
  std::int32_t seen_label = -1;
  for (Index first = 0; first < tables_->stride; first += rows) {
    Masks near[rows / width];
    Masks some{};
    for (Index v = first; v < first + rows; v += width) {
      const Floats x = load(z + v);
      const Masks here = (x != 0.0F) & ((larger(x, -x) * load(tail_rate_.data() + v) * zones.size >= floor) |
                                        (load(dead_drop_.data() + v) >= floor));
      near[(v - first) / width] = here;
      some |= here;
    }
    if (!any(some)) continue;
    for (Index n = first; n < first + rows; ++n) {
      if (near[(n - first) / width][(n - first) % width] == 0) continue;
      // Saturated inputs: far up, equal inputs and labels have equal drops, and the lowest image counts.
      const bool up = (z[n] > 0.0F) == (fault.delta > 0);
      const auto label = tables_->base.data.labels[static_cast<std::size_t>(n)];
      if (up && z[n] == seen_input && label == seen_label) continue;
      drop(place(input, fault.bit), static_cast<std::int32_t>(n), look_up(fault, n, z[n]).drop);
      if (!up) continue;
      seen_input = z[n];
      seen_label = label;
    }
  }
}

UnitCensus::Effect UnitCensus::look_up(const Fault& fault, Index image, float z) const {
  if (z == 0.0F) {
    if (std::isfinite(fault.after))
      return {tables_->base.golden.prediction[static_cast<std::size_t>(image)], 0};
    return {lost, infinity};
  }
  if (std::isnan(fault.after)) return {lost, infinity};
  const auto n = static_cast<std::size_t>(image);
  const bool last = tables_->tracer.last();
  const bool up = (fault.delta > 0) == (z > 0.0F);
  const double distance = fault.size * std::fabs(static_cast<double>(z));
  const double product = std::fabs(static_cast<double>(fault.after) * static_cast<double>(z));
  const bool infinite = product > tail_.own_infinite;
  if (!infinite && product > tail_.own_finite) return {untraced, 0};
  if (infinite && (up || last)) return tail_.infinite_lost ? Effect{lost, infinity} : Effect{untraced, 0};
  if (!up || last || distance <= reach_) {
    const std::size_t side = up ? 0 : 1;
    const std::int32_t code = rays_.code(side, n, distance);
    return {code, code == untraced ? 0 : rays_.drop(side, n, distance)};
  }
  if (tail_.code >= 0 && distance >= tail_.from && distance <= tail_.finite_to) {
    const auto label = static_cast<std::size_t>(tables_->base.data.labels[n]);
    return {tail_.code, tail_.drop_rate[label] * distance};
  }
  if (distance >= tail_.lost_from && distance <= tail_.inner_to) return {lost, infinity};
  return {untraced, 0};
}

void UnitCensus::large_image(Index input, const Fault& fault, Index image) {
  const float z = tables_->inputs[static_cast<std::size_t>(input * tables_->stride + image)];
  const Effect effect = look_up(fault, image, z);
  const std::uint32_t number = place(input, fault.bit);
  outcome(number, static_cast<std::int32_t>(image), effect.code);
  drop(number, static_cast<std::int32_t>(image), effect.drop);
}

}  // namespace temblor::census
