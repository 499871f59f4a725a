#include "unit.hpp"

#include "lanes.hpp"

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

}  // namespace

StageTables::StageTables(const Baseline& baseline, const Chain& layers, std::size_t index,
                         const Encoded& stored, std::vector<int> chosen, Index first)
    : base(baseline),
      chain(&layers),
      stage(index),
      codes(&stored),
      bits(std::move(chosen)),
      first_image(first),
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

void UnitCensus::drop(std::uint32_t fault, std::int32_t image, double value) {
  const std::size_t f = base_fault_ + fault;
  double& best = out_->worst_drop[f];
  std::int32_t& worst = out_->worst_image[f];
  const std::int32_t row = static_cast<std::int32_t>(tables_->first_image) + image;
  if (value > best || (value == best && value > 0 && row < worst)) {
    best = value;
    worst = row;
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
