#include "unit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor::census {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr float float_infinity = std::numeric_limits<float>::infinity();
/// Faults that change a weight by more than this times the layer's largest weight are left to the tail.
constexpr double moderate = 0x1p20;
/// No sum above may come near overflow within the traced reach.
constexpr double largest_growth = 1e38;
/// Each level of reach is this much smaller than the one before.
constexpr double level_factor = 8;
/// Pairs that are collected before they are inferred.
constexpr std::size_t most_pairs = std::size_t{1} << 20U;

using Floats __attribute__((vector_size(32), aligned(4), may_alias)) = float;
using Masks __attribute__((vector_size(32))) = std::int32_t;
using Halves __attribute__((vector_size(32))) = std::int64_t;
constexpr Index width = 8;

Floats load(const float* from) {
  return *reinterpret_cast<const Floats*>(from);
}
Masks load(const std::int32_t* from) {
  using Unaligned __attribute__((vector_size(32), aligned(4), may_alias)) = std::int32_t;
  return *reinterpret_cast<const Unaligned*>(from);
}
bool any(Masks masks) {
  const auto halves = reinterpret_cast<Halves>(masks);
  return (halves[0] | halves[1] | halves[2] | halves[3]) != 0;
}
Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}

float round_up(double value) {
  return std::nextafter(static_cast<float>(value), float_infinity);
}

}  // namespace

StageTables::StageTables(const Baseline& baseline, const Chain& layers, std::size_t index,
                         const Encoded& stored, std::vector<int> chosen)
    : base(baseline),
      chain(&layers),
      stage(index),
      codes(&stored),
      bits(std::move(chosen)),
      tracer(baseline.network, baseline.data, baseline.golden, layers, index) {
  const Matrix& input = layers.stages[index].input;
  const Index images = input.cols();
  stride = (images + UnitCensus::chunk - 1) / UnitCensus::chunk * UnitCensus::chunk;
  inputs.assign(static_cast<std::size_t>(input.rows() * stride), 0.0F);
  for (Index j = 0; j < input.rows(); ++j) {
    std::copy_n(input.data() + j * images, images, inputs.data() + j * stride);
    negative.push_back(input.row(j).minCoeff() < 0.0F);
    zero.push_back(layers.stages[index].input_max[static_cast<std::size_t>(j)] == 0.0F);
  }
  for (std::size_t n = 0; n < base.golden.prediction.size(); ++n)
    right.push_back(base.golden.prediction[n] == base.data.labels[n] ? 1 : 0);
}

void UnitCensus::run(const StageTables& tables, Index unit, LayerCensus& out,
                     const std::function<bool()>& stop) {
  tables_ = &tables;
  out_ = &out;
  base_fault_ = static_cast<std::size_t>(unit * out.inputs) * tables.bits.size();
  pairs_.clear();
  exact_.begin(tables.stage, unit);
  tail_ = make_tail(tables.tracer, tables.base.network, *tables.chain, tables.stage, unit);
  decode(unit);
  trace(unit);
  prepare_large();
  for (Index input = 0; input < out.inputs; ++input) {
    if (stop()) return;
    weigh(input);
    if (pairs_.size() > most_pairs) infer();
  }
  infer();
}

void UnitCensus::decode(Index unit) {
  const Encoded& codes = *tables_->codes;
  const Index inputs = out_->inputs;
  const std::size_t bits = tables_->bits.size();
  after_.resize(static_cast<std::size_t>(inputs) * bits);
  delta_.resize(after_.size());
  double largest_weight = 0;
  for (Index j = 0; j < inputs; ++j) {
    const auto index = static_cast<std::size_t>(unit * inputs + j);
    const float before = codes.decode(index);
    largest_weight = std::max(largest_weight, std::fabs(static_cast<double>(before)));
    for (std::size_t b = 0; b < bits; ++b) {
      const std::size_t f = static_cast<std::size_t>(j) * bits + b;
      after_[f] = codes.decode(index, codes.codes[index] ^ (1U << static_cast<unsigned>(tables_->bits[b])));
      delta_[f] = static_cast<double>(after_[f]) - static_cast<double>(before);
    }
  }
  reach_ = 0;
  const Chain::Stage& stage = tables_->chain->stages[tables_->stage];
  const double limit = std::max(1.0, largest_weight) * moderate;
  for (std::size_t f = 0; f < delta_.size(); ++f) {
    const double size = std::fabs(delta_[f]);
    if (size < limit) reach_ = std::max(reach_, size * static_cast<double>(stage.input_max[f / bits]));
  }
  reach_ = std::min(reach_ * (1 + 1e-6), largest_growth / stage.growth);
}

void UnitCensus::trace(Index unit) {
  tables_->tracer.trace(unit, reach_, rays_);
  const auto images = static_cast<std::size_t>(tables_->base.data.size());
  const auto stride = static_cast<std::size_t>(tables_->stride);
  for (std::size_t side = 0; side < 2; ++side) {
    std::vector<float>& harmless = harmless_[side];
    harmless.assign(stride, float_infinity);
    for (std::size_t n = 0; n < images; ++n) {
      const std::uint32_t first = rays_.first_segment[side][n];
      double end = 0;
      if (first < rays_.first_segment[side][n + 1] &&
          rays_.segments[side][first].code == tables_->base.golden.prediction[n])
        end = rays_.segments[side][first].end;
      // Room for the rounding of a product of floats, and of this conversion.
      harmless[n] = end < 1e38 ? static_cast<float>(end * (1 - 1e-6)) : float_infinity;
    }
    double reach = reach_;
    for (int level = 0; level < levels; ++level, reach /= level_factor) {
      std::vector<float>& steep = steep_[level][side];
      steep.assign(stride, 0.0F);
      bool some = false;
      for (std::size_t n = 0; n < images && reach > 0; ++n) {
        const double most = rays_.steepest(side, n, reach);
        if (!(most > 0)) continue;
        steep[n] = round_up(most);
        some = true;
      }
      any_steep_[level][side] = some;
    }
  }
}

void UnitCensus::sort_faults(Index input) {
  faults_[0].clear();
  faults_[1].clear();
  large_.clear();
  const std::size_t bits = tables_->bits.size();
  const auto index = static_cast<std::size_t>(input);
  const auto most_input = static_cast<double>(tables_->chain->stages[tables_->stage].input_max[index]);
  for (std::size_t b = 0; b < bits; ++b) {
    const std::size_t f = index * bits + b;
    if (delta_[f] == 0) continue;
    Fault fault{static_cast<std::uint32_t>(b), after_[f], delta_[f], std::fabs(delta_[f]), -1};
    if (!(fault.size * most_input <= reach_)) {
      large_.push_back(fault);
      continue;
    }
    double reach = reach_ / level_factor;
    for (fault.level = 0; fault.level + 1 < levels && fault.size * most_input <= reach; ++fault.level)
      reach /= level_factor;
    faults_[fault.delta > 0 ? 0 : 1].push_back(fault);
  }
  for (auto& side : faults_) {
    std::sort(side.begin(), side.end(), [](const Fault& a, const Fault& b) { return a.size < b.size; });
  }
}

void UnitCensus::weigh(Index input) {
  sort_faults(input);
  if (!tables_->zero[static_cast<std::size_t>(input)]) {
    count_small(input);
    for (std::size_t side = 0; side < 2; ++side) {
      for (std::size_t first = 0; first < faults_[side].size();) {
        const int level = faults_[side][first].level;
        drops(input, level, side);
        while (first < faults_[side].size() && faults_[side][first].level == level) ++first;
      }
    }
  }
  for (const Fault& fault : large_) count_large(input, fault);
}

/// Images that some fault may move out of their harmless interval.
void UnitCensus::count_small(Index input) {
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const float most_up = faults_[0].empty() ? 0.0F : round_up(faults_[0].back().size);
  const float most_down = faults_[1].empty() ? 0.0F : round_up(faults_[1].back().size);
  const bool negative = tables_->negative[static_cast<std::size_t>(input)];
  constexpr Index few = 16;
  for (Index first = 0; first < tables_->stride; first += few) {
    Masks beyond{};
    for (Index v = first; v < first + few; v += width) {
      Floats up = load(z + v) * most_up;
      Floats down = load(z + v) * most_down;
      if (negative) {
        const Floats other = up;
        up = larger(up, -down);
        down = larger(down, -other);
      }
      beyond |= (up > load(harmless_[0].data() + v)) | (down > load(harmless_[1].data() + v));
    }
    if (!any(beyond)) continue;
    for (Index n = first; n < first + few; ++n) {
      const float up = z[n] < 0.0F ? -z[n] * most_down : z[n] * most_up;
      const float down = z[n] < 0.0F ? -z[n] * most_up : z[n] * most_down;
      if (up > harmless_[0][static_cast<std::size_t>(n)] || down > harmless_[1][static_cast<std::size_t>(n)])
        count_image(input, n);
    }
  }
}

void UnitCensus::count_image(Index input, Index image) {
  const auto z =
      static_cast<double>(tables_->inputs[static_cast<std::size_t>(input * tables_->stride + image)]);
  const auto n = static_cast<std::size_t>(image);
  for (std::size_t sign = 0; sign < 2; ++sign) {
    const std::size_t side = (z < 0) == (sign == 0) ? 1 : 0;
    const auto harmless = static_cast<double>(harmless_[side][n]);
    for (auto fault = faults_[sign].rbegin(); fault != faults_[sign].rend(); ++fault) {
      const double distance = fault->size * std::fabs(z);
      if (distance <= harmless) break;
      outcome(place(input, fault->bit), static_cast<std::int32_t>(image), rays_.code(side, n, distance));
    }
  }
}

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

/// A fault that moves the unit so far that what happens to an image depends on the size of its input alone.
void UnitCensus::count_large(Index input, const Fault& fault) {
  const Index images = tables_->base.data.size();
  if (!std::isfinite(fault.after) || tables_->tracer.last()) {
    for (Index n = 0; n < images; ++n) large_image(input, fault, n);
    return;
  }
  // Inputs at which one thing or another happens, moved inward by more than rounding.
  const auto above = [](double value) { return static_cast<float>(value * (1 + 1e-6)); };
  const auto below = [](double value) { return static_cast<float>(value * (1 - 1e-6)); };
  const double after = std::fabs(static_cast<double>(fault.after));
  const float own_finite = below(tail_.own_finite / after);
  const float own_infinite = tail_.infinite_lost ? above(tail_.own_infinite / after) : float_infinity;
  const float surely_infinite = above(tail_.own_infinite / after);
  const float tail_from = tail_.code >= 0 ? above(std::max(tail_.from, reach_) / fault.size) : float_infinity;
  const float tail_to = std::min(own_finite, below(tail_.finite_to / fault.size));
  const float lost_from = above(std::max(tail_.lost_from, reach_) / fault.size);
  const float lost_to = std::min(own_finite, below(tail_.inner_to / fault.size));
  const float dead_from = above(dead_from_ / fault.size);
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const Masks upward = Masks{} - (fault.delta > 0 ? 1 : 0);
  const std::uint32_t number = place(input, fault.bit);
  const std::size_t f = base_fault_ + number;

  const auto by = static_cast<float>(std::min(fault.size, 1e38));
  Floats most{};
  bool any_lost = false;
  constexpr Index rows = 4 * width;
  constexpr Index block = 60 * width;  // counters of a byte hold 127
  static_assert(chunk % rows == 0);
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
        const Masks up = moved & ~((x > 0.0F) ^ upward);
        const Masks in_tail = up & (size >= tail_from) & (size <= tail_to);
        const Masks is_lost = up & (((size >= lost_from) & (size <= lost_to)) | (size > own_infinite));
        const Masks dead =
            moved & ~up & (size >= dead_from) & ((size <= own_finite) | (size > surely_infinite));
        const Masks word = (in_tail & load(tail_word_.data() + v)) | (is_lost & load(lost_word_.data() + v)) |
                           (dead & load(dead_word_.data() + v));
        const Masks odd = (moved & ~(in_tail | is_lost | dead)) | (word < 0);
        counts += word & ~odd;
        odd_ones |= odd;
        lost_ones |= is_lost;
        Floats drop = in_tail ? size * load(tail_rate_.data() + v) * by : Floats{};
        drop = dead ? load(dead_drop_.data() + v) : drop;
        most = larger(drop, most);
        odd_rows[(v - first) / width] = odd;
      }
      any_lost = any_lost || any(lost_ones);
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
  if (any_lost) {
    Index n = 0;
    const auto is_lost = [&](float x) {
      const float size = std::fabs(x);
      return (x > 0.0F) == (fault.delta > 0) && x != 0.0F &&
             ((size >= lost_from && size <= lost_to) || size > own_infinite);
    };
    while (!is_lost(z[n])) ++n;
    drop(number, static_cast<std::int32_t>(n), infinity);
    return;
  }
  float top = 0;
  for (int lane = 0; lane < width; ++lane) top = std::max(top, most[lane]);
  if (!(top > 0.0F)) return;
  const float floor = top < float_infinity ? top * (1 - 1e-6F) : top;
  for (Index first = 0; first < tables_->stride; first += rows) {
    Masks near[rows / width];
    Masks some{};
    for (Index v = first; v < first + rows; v += width) {
      const Floats x = load(z + v);
      const Masks here = (x != 0.0F) & ((larger(x, -x) * load(tail_rate_.data() + v) * by >= floor) |
                                        (load(dead_drop_.data() + v) >= floor));
      near[(v - first) / width] = here;
      some |= here;
    }
    if (!any(some)) continue;
    for (Index n = first; n < first + rows; ++n) {
      if (near[(n - first) / width][(n - first) % width] != 0)
        drop(number, static_cast<std::int32_t>(n), look_up(fault, n, z[n]).drop);
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

/// Worst drops of the faults of one sign and level.
void UnitCensus::drops(Index input, int level, std::size_t sign) {
  const bool negative = tables_->negative[static_cast<std::size_t>(input)];
  if (!any_steep_[level][sign] && !(negative && any_steep_[level][1 - sign])) return;
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const float* with = steep_[level][sign].data();         // images with a positive input
  const float* against = steep_[level][1 - sign].data();  // with a negative one
  const auto bound = [&](Index v) {
    const Floats x = load(z + v);
    const Floats here = x * load(with + v);
    return negative ? larger(here, -x * load(against + v)) : here;
  };
  const auto chunks = static_cast<std::size_t>(tables_->stride / chunk);
  chunk_most_.resize(chunks);
  std::size_t steepest = 0;
  for (std::size_t c = 0; c < chunks; ++c) {
    Floats most{};
    const Index first = static_cast<Index>(c) * chunk;
    for (Index v = first; v < first + chunk; v += width) most = larger(bound(v), most);
    float top = 0;
    for (int lane = 0; lane < width; ++lane) top = std::max(top, most[lane]);
    chunk_most_[c] = top;
    if (top > chunk_most_[steepest]) steepest = c;
  }
  if (!(chunk_most_[steepest] > 0.0F)) return;
  for (const Fault& fault : faults_[sign]) {
    if (fault.level != level) continue;
    const auto widened = static_cast<float>(fault.size * (1 + 1e-6));
    double best = 0;
    std::int32_t worst = -1;
    const auto look = [&](std::size_t c) {
      const Index first = static_cast<Index>(c) * chunk;
      for (Index v = first; v < first + chunk; v += width) {
        const Floats most = bound(v) * widened;
        const auto floor = static_cast<float>(best * (1 - 1e-6));
        if (!any((most >= floor) & (most > 0.0F))) continue;
        for (Index n = v; n < v + width; ++n) {
          if (!(most[n - v] >= floor && most[n - v] > 0.0F)) continue;
          const double distance = fault.size * std::fabs(static_cast<double>(z[n]));
          const double value =
              rays_.drop(z[n] < 0.0F ? 1 - sign : sign, static_cast<std::size_t>(n), distance);
          const auto row = static_cast<std::int32_t>(n);
          if (value > best || (value == best && value > 0 && row < worst)) {
            best = value;
            worst = row;
          }
        }
      }
    };
    look(steepest);
    for (std::size_t c = 0; c < chunks; ++c) {
      const float most = chunk_most_[c] * widened;
      if (c != steepest && most > 0.0F && most >= static_cast<float>(best * (1 - 1e-6))) look(c);
    }
    if (worst >= 0) drop(place(input, fault.bit), worst, best);
  }
}

void UnitCensus::drop(std::uint32_t fault, std::int32_t image, double value) {
  const std::size_t f = base_fault_ + fault;
  double& best = out_->worst_drop[f];
  std::int32_t& row = out_->worst_image[f];
  if (value > best || (value == best && value > 0 && image < row)) {
    best = value;
    row = image;
  }
}

void UnitCensus::outcome(std::uint32_t fault, std::int32_t image, std::int32_t code) {
  const auto n = static_cast<std::size_t>(image);
  if (code == tables_->base.golden.prediction[n]) return;
  if (code <= undecided) {
    pairs_.push_back({image, fault, code == untraced});
    return;
  }
  const std::size_t f = base_fault_ + fault;
  if (code == lost) {
    ++out_->no_prediction[f];
    drop(fault, image, infinity);
  } else {
    ++out_->changed[f];
    if (code == tables_->base.data.labels[n]) ++out_->fixed[f];
  }
  if (tables_->right[n] != 0) ++out_->broken[f];
}

void UnitCensus::infer() {
  std::sort(pairs_.begin(), pairs_.end(), [](const Pair& a, const Pair& b) {
    return a.image != b.image ? a.image < b.image : a.fault < b.fault;
  });
  inferred_ += static_cast<std::int64_t>(pairs_.size());
  const auto bits = static_cast<std::uint32_t>(tables_->bits.size());
  for (std::size_t first = 0; first < pairs_.size();) {
    const std::int32_t image = pairs_[first].image;
    variants_.clear();
    std::size_t next = first;
    for (; next < pairs_.size() && pairs_[next].image == image; ++next) {
      const std::uint32_t fault = pairs_[next].fault;
      variants_.push_back({static_cast<std::uint32_t>(next), fault / bits, after_[fault]});
    }
    const double margin = tables_->base.golden.margin[static_cast<std::size_t>(image)];
    for (const Inferred& result : exact_.run(image, variants_)) {
      const Pair& pair = pairs_[result.fault];
      outcome(pair.fault, image, result.prediction);
      if (pair.drop && result.prediction >= 0) drop(pair.fault, image, margin - result.margin);
    }
    first = next;
  }
  pairs_.clear();
}

}  // namespace temblor::census
