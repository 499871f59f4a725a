#include "conv.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include <temblor/evaluate/evaluator.hpp>

namespace temblor::census {
namespace {

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
  const Index depth = tables_->conv.depth();
  const auto index = static_cast<std::size_t>(weight);
  const Matrix& weights = tables_->network->weights(tables_->layer).weight;
  const float before = weights.data()[weight];
  faults_.clear();
  kernels_.resize(static_cast<Index>(bits.size()), depth);
  all_finite_ = true;
  for (std::size_t b = 0; b < bits.size(); ++b) {
    const float after = codes.decode(index, codes.codes[index] ^ (1U << static_cast<unsigned>(bits[b])));
    if (after == before) continue;
    all_finite_ = all_finite_ && std::isfinite(after);
    const auto row = static_cast<Index>(faults_.size());
    kernels_.row(row) = weights.row(weight / depth);
    kernels_(row, weight % depth) = after;
    faults_.push_back(static_cast<std::uint32_t>(index * bits.size() + b));
  }
  kernels_.conservativeResize(static_cast<Index>(faults_.size()), depth);
}

void ConvCensus::run(const ImageBlock& block, Index weight, LayerCensus& out,
                     const std::function<bool()>& stop) {
  block_ = &block;
  out_ = &out;
  decode(weight);
  if (faults_.empty()) return;
  const Index channel = weight / tables_->conv.depth();
  const Index positions = tables_->conv.positions();
  tables_->conv.pack(channel, kernels_, versions_);
  const auto faults = static_cast<Index>(faults_.size());
  values_.resize(static_cast<std::size_t>(faults * positions));
  planes_.resize(batch, positions);
  pairs_.clear();
  const auto node = static_cast<std::size_t>(tables_->path.conv());
  const Matrix& input = block.golden.of(tables_->network->nodes()[node].inputs[0], block.data.images);
  const Matrix& output = block.golden.outputs[node];
  for (Index n = 0; n < block.size() && !stop(); ++n) {
    const float* image = input.data() + n * input.cols();
    if (all_finite_ && !tables_->conv.reads_something(channel, weight % tables_->conv.depth(), image))
      continue;
    versions_.multiply({image + tables_->conv.group_offset(channel), 0, nullptr}, 1, values_.data(),
                       faults * positions);
    const float* golden = output.data() + n * output.cols() + channel * positions;
    for (Index f = 0; f < faults; ++f) {
      const float* plane = values_.data() + f * positions;
      if (same(plane, golden, positions)) continue;
      std::copy_n(plane, positions, planes_.data() + static_cast<Index>(pairs_.size()) * positions);
      pairs_.push_back({static_cast<std::int32_t>(n), faults_[static_cast<std::size_t>(f)]});
      if (static_cast<Index>(pairs_.size()) == batch) flush(channel);
    }
  }
  flush(channel);
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
  std::vector<float> values;
  std::size_t kept = 0;
  for (std::size_t r = 0; r < pairs_.size(); ++r) {
    const float* row = result.data() + static_cast<Index>(r) * plane;
    if (same(row, golden.data() + images_[r] * golden.cols() + channel * plane, plane)) continue;
    values.insert(values.end(), row, row + plane);
    pairs_[kept] = pairs_[r];
    images_[kept] = images_[r];
    ++kept;
  }
  if (kept > 0) {
    units_.resize(static_cast<std::size_t>(plane));
    std::iota(units_.begin(), units_.end(), channel * plane);
    const UnitPatch patch{tables_->path.end(), units_, values.data()};
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
  double drop = std::numeric_limits<double>::infinity();
  if (prediction >= 0) drop = block_->margin[n] - margin(logits, classes, label);
  if (drop > out_->worst_drop[f]) {
    out_->worst_drop[f] = drop;
    out_->worst_image[f] = static_cast<std::int32_t>(block_->first) + pair.image;
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

}  // namespace temblor::census
