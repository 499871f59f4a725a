#include "conv.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <temblor/evaluate/evaluator.hpp>

namespace temblor::census {
namespace {

/// Faults that change a weight by more than this times the layer's largest weight are inferred.
constexpr double moderate = 0x1p20;

bool same(const float* a, const float* b, Index n) {
  return std::memcmp(a, b, static_cast<std::size_t>(n) * sizeof(float)) == 0;
}

}  // namespace

ConvTables::ConvTables(const Network& of, int index, const Encoded& stored, std::vector<int> chosen,
                       const std::vector<PackedDense>& dense)
    : network(&of),
      layer(index),
      codes(&stored),
      bits(std::move(chosen)),
      packed(&dense),
      path(of, of.node_of(index)),
      conv(of, of.node_of(index)) {
  std::vector<bool> marked(of.nodes().size(), false);
  const auto end = static_cast<std::size_t>(path.end());
  marked[end] = true;
  above = BlockRunner(of).descendants(std::move(marked));
  above[end] = false;
}

ConvCensus::ConvCensus(const ConvTables& tables) : tables_(&tables), runner_(*tables.network) {
  std::vector<const PackedDense*> packed;
  for (const PackedDense& layer : *tables.packed) packed.push_back(&layer);
  runner_.use(tables.network->view(), std::move(packed));
}

void ConvCensus::decode(Index weight) {
  const Encoded& codes = *tables_->codes;
  const std::vector<int>& bits = tables_->bits;
  const auto index = static_cast<std::size_t>(weight);
  const Matrix& weights = tables_->network->weights(tables_->layer).weight;
  const float before = weights.data()[weight];
  const double limit = moderate * std::max(1.0, static_cast<double>(weights.cwiseAbs().maxCoeff()));
  faults_.clear();
  all_finite_ = true;
  for (std::size_t b = 0; b < bits.size(); ++b) {
    const float after = codes.decode(index, codes.codes[index] ^ (1U << static_cast<unsigned>(bits[b])));
    if (after == before) continue;
    const double delta = static_cast<double>(after) - static_cast<double>(before);
    all_finite_ = all_finite_ && std::isfinite(after);
    faults_.push_back(
        {static_cast<std::uint32_t>(index * bits.size() + b), after, delta, !(std::fabs(delta) < limit)});
  }
  std::sort(faults_.begin(), faults_.end(), [](const Fault& a, const Fault& b) {
    if (a.large != b.large) return a.large;
    if (a.large) return a.place > b.place;
    return std::fabs(a.delta) != std::fabs(b.delta) ? std::fabs(a.delta) > std::fabs(b.delta)
                                                    : a.place > b.place;
  });
}

void ConvCensus::pack(Index channel, Index weight) {
  const Index depth = tables_->conv.depth();
  const auto faults = static_cast<Index>(faults_.size());
  const Matrix& weights = tables_->network->weights(tables_->layer).weight;
  versions_.resize(static_cast<std::size_t>((faults + panel - 1) / panel));
  Matrix kernels;
  for (Index first = 0; first < faults; first += panel) {
    const Index count = std::min(panel, faults - first);
    kernels = weights.row(channel).replicate(count, 1);
    for (Index f = 0; f < count; ++f)
      kernels(f, weight % depth) = faults_[static_cast<std::size_t>(first + f)].after;
    tables_->conv.pack(channel, kernels, versions_[static_cast<std::size_t>(first / panel)]);
  }
}

void ConvCensus::run(const ImageBlock& block, const ChannelScreen* screen, Index weight, LayerCensus& out,
                     const std::function<bool()>& stop) {
  block_ = &block;
  out_ = &out;
  decode(weight);
  if (faults_.empty()) return;
  const Index channel = weight / tables_->conv.depth();
  const Index positions = tables_->conv.positions();
  pack(channel, weight);
  values_.resize(static_cast<std::size_t>(panel * positions));
  planes_.resize(batch, positions);
  pairs_.clear();
  most_drop_.assign(screen != nullptr ? faults_.size() * static_cast<std::size_t>(block.size()) : 0, -1.0F);
  const auto node = static_cast<std::size_t>(tables_->path.conv());
  const Matrix& input = block.golden.of(tables_->network->nodes()[node].inputs[0], block.data.images);
  const Matrix& output = block.golden.outputs[node];
  for (Index n = 0; n < block.size(); ++n) {
    if (stop()) return;
    const float* image = input.data() + n * input.cols();
    if (choose(screen, weight, image, n))
      infer(channel, image, output.data() + n * output.cols() + channel * positions, n);
  }
  flush(channel);
  if (screen != nullptr) worst_drops(*screen, weight, input);
}

bool ConvCensus::choose(const ChannelScreen* screen, Index weight, const float* image, Index row) {
  const Index depth = tables_->conv.depth();
  if (screen == nullptr) {
    // A weight that meets nothing but 0 changes nothing, unless it is infinite.
    if (all_finite_ && !tables_->conv.reads_something(weight / depth, weight % depth, image)) return false;
    choice_.assign(faults_.size(), Choice::count_and_drop);
    return true;
  }
  const bool met = weight_.begin(*screen, weight % depth, image, row);
  choice_.assign(faults_.size(), Choice::skip);
  bool some = false;
  for (std::size_t f = 0; f < faults_.size(); ++f) {
    const Fault& fault = faults_[f];
    if (!met && std::isfinite(fault.after)) continue;
    if (fault.large) {
      choice_[f] = Choice::count_and_drop;
    } else {
      const ChannelScreen::Weight::Bound bound = weight_.bound(fault.delta);
      if (!bound.finite) {
        choice_[f] = Choice::count_and_drop;
      } else {
        if (!bound.safe) choice_[f] = Choice::count;
        most_drop_[f * static_cast<std::size_t>(block_->size()) + static_cast<std::size_t>(row)] =
            std::isnan(bound.drop) ? std::numeric_limits<float>::infinity() : bound.drop;
      }
    }
    some = some || choice_[f] != Choice::skip;
  }
  return some;
}

void ConvCensus::infer(Index channel, const float* image, const float* golden, Index row) {
  const Index positions = tables_->conv.positions();
  for (std::size_t first = 0; first < faults_.size(); first += panel) {
    const std::size_t end = std::min(faults_.size(), first + static_cast<std::size_t>(panel));
    const auto from = choice_.begin() + static_cast<std::ptrdiff_t>(first);
    const auto to = choice_.begin() + static_cast<std::ptrdiff_t>(end);
    if (std::all_of(from, to, [](Choice choice) { return choice == Choice::skip; })) continue;
    versions_[first / panel].multiply({image + tables_->conv.group_offset(channel), 0, nullptr}, 1,
                                      values_.data(), static_cast<Index>(end - first) * positions);
    for (std::size_t f = first; f < end; ++f) {
      if (choice_[f] == Choice::skip) continue;
      const float* plane = values_.data() + static_cast<Index>(f - first) * positions;
      if (same(plane, golden, positions)) continue;
      std::copy_n(plane, positions, planes_.data() + static_cast<Index>(pairs_.size()) * positions);
      pairs_.push_back(
          {static_cast<std::int32_t>(row), faults_[f].place, choice_[f] == Choice::count_and_drop});
      if (static_cast<Index>(pairs_.size()) == batch) flush(channel);
    }
  }
}

void ConvCensus::flush(Index channel) {
  if (pairs_.empty()) return;
  const Index positions = tables_->conv.positions();
  const Index plane = tables_->path.plane();
  planes_.conservativeResize(static_cast<Index>(pairs_.size()), positions);
  images_.clear();
  for (const Pair& pair : pairs_) images_.push_back(pair.image);
  const Matrix& result =
      tables_->path.run(channel, images_, block_->golden, block_->data.images, planes_, other_);
  const Matrix& golden = block_->golden.outputs[static_cast<std::size_t>(tables_->path.end())];
  kept_.clear();
  std::size_t kept = 0;
  for (std::size_t r = 0; r < pairs_.size(); ++r) {
    const float* row = result.data() + static_cast<Index>(r) * plane;
    if (same(row, golden.data() + images_[r] * golden.cols() + channel * plane, plane)) continue;
    kept_.insert(kept_.end(), row, row + plane);
    pairs_[kept] = pairs_[r];
    images_[kept] = images_[r];
    ++kept;
  }
  if (kept > 0) {
    units_.resize(static_cast<std::size_t>(plane));
    std::iota(units_.begin(), units_.end(), channel * plane);
    const UnitPatch patch{tables_->path.end(), units_, kept_.data()};
    const RowsView logits = runner_.run({&block_->data.images, 0, static_cast<Index>(kept), images_.data()},
                                        block_->golden, tables_->above, &patch);
    for (std::size_t r = 0; r < kept; ++r) outcome(pairs_[r], logits.row(static_cast<Index>(r)));
    inferred_ += static_cast<std::int64_t>(kept);
  }
  pairs_.clear();
  planes_.resize(batch, positions);
}

void ConvCensus::outcome(const Pair& pair, const float* logits) {
  const Index classes = tables_->network->classes();
  const auto n = static_cast<std::size_t>(pair.image);
  const std::int32_t label = block_->data.labels[n];
  const std::int32_t prediction = predict(logits, classes);
  const auto f = static_cast<std::size_t>(pair.fault);
  if (prediction < 0) {
    drop(pair.fault, pair.image, std::numeric_limits<double>::infinity());
  } else if (pair.drop) {
    drop(pair.fault, pair.image, block_->margin[n] - margin(logits, classes, label));
  }
  if (prediction == block_->prediction[n]) return;
  if (prediction < 0) {
    ++out_->no_prediction[f];
  } else {
    ++out_->changed[f];
    if (prediction == label) ++out_->fixed[f];
  }
  if (block_->right(pair.image)) ++out_->broken[f];
}

void ConvCensus::drop(std::uint32_t place, std::int32_t image, double value) {
  double& best = out_->worst_drop[place];
  std::int32_t& worst = out_->worst_image[place];
  const std::int32_t row = static_cast<std::int32_t>(block_->first) + image;
  if (value > best || (value == best && value > 0 && row < worst)) {
    best = value;
    worst = row;
  }
}

/// Images in the order of what they may lose at most, until none can lose more than the worst one.
void ConvCensus::worst_drops(const ChannelScreen& screen, Index weight, const Matrix& input) {
  const Index depth = tables_->conv.depth();
  for (std::size_t f = 0; f < faults_.size(); ++f) {
    const Fault& fault = faults_[f];
    if (fault.large) continue;
    const float* most = most_drop_.data() + f * static_cast<std::size_t>(block_->size());
    const auto may = [&](float bound) {
      return bound > 0 && static_cast<double>(bound) >= out_->worst_drop[fault.place];
    };
    const auto look = [&](std::int32_t n) {
      if (!weight_.begin(screen, weight % depth, input.data() + n * input.cols(), n)) return;
      drop(fault.place, n, weight_.drop(fault.delta));
    };
    const auto first = std::max_element(most, most + block_->size()) - most;
    if (!may(most[first])) continue;
    look(static_cast<std::int32_t>(first));
    order_.clear();
    for (Index n = 0; n < block_->size(); ++n) {
      if (n != first && may(most[n])) order_.emplace_back(most[n], static_cast<std::int32_t>(n));
    }
    std::sort(order_.begin(), order_.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    for (const auto& [bound, n] : order_) {
      if (!may(bound)) break;
      look(n);
    }
  }
}

}  // namespace temblor::census
