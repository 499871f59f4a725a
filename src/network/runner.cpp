#include <algorithm>

#include <temblor/base/error.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {
namespace {

/// Outputs of one node that a run should hold at most: 800 KiB.
constexpr Index cached_values = 200'000;

}  // namespace

std::vector<PackedDense> pack_dense(const Network& network, const WeightView& weights) {
  std::vector<PackedDense> packed(weights.size());
  for (const Network::Node& node : network.nodes()) {
    if (node.weights < 0 || node.layer->kind() != "dense") continue;
    const auto layer = static_cast<std::size_t>(node.weights);
    packed[layer].pack(weights[layer]->weight, weights[layer]->bias);
  }
  return packed;
}

BlockRunner::BlockRunner(const Network& network)
    : network_(&network),
      consumers_(network.nodes().size(), 0),
      all_(network.nodes().size(), true),
      uses_(network.nodes().size(), Use::none),
      slots_(network.nodes().size()) {
  for (const Network::Node& node : network.nodes()) {
    dense_.push_back(node.layer->kind() == "dense");
    for (const int input : node.inputs) {
      if (input >= 0) ++consumers_[static_cast<std::size_t>(input)];
    }
  }
  Index widest = network.input().size();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Network::Node& node = network.nodes()[i];
    slots_[i].convolution = dynamic_cast<const ConvolutionLayer*>(node.layer.get());
    widest = std::max(widest, node.shape.size());
  }
  // Whole tiles of the dense kernel.
  rows_ = std::clamp(cached_values / widest / 6 * 6, Index{6}, block);
}

void BlockRunner::use(const WeightView& weights, std::vector<const PackedDense*> packed) {
  weights_ = weights;
  packed_ = std::move(packed);
  for (Slot& slot : slots_) slot.packed = false;
}

Index BlockRunner::units_of(int node) const {
  return node < 0 ? network_->input().size() : network_->nodes()[static_cast<std::size_t>(node)].shape.size();
}

const RowsView& BlockRunner::view_of(int node) const {
  return node < 0 ? images_ : slots_[static_cast<std::size_t>(node)].view;
}

float* BlockRunner::buffer_of(std::size_t i, Index count) {
  Slot& slot = slots_[i];
  slot.matrix.resize(count, units_of(static_cast<int>(i)));
  slot.home = &slot.matrix;
  slot.own = slot.matrix.data();
  slot.view = {slot.own, slot.matrix.cols(), nullptr};
  return slot.own;
}

const Matrix* BlockRunner::gather(int node, const Images& images) {
  const RowsView& view = view_of(node);
  if (node >= 0 && slots_[static_cast<std::size_t>(node)].home != nullptr)
    return slots_[static_cast<std::size_t>(node)].home;
  Matrix& to = node < 0 ? gathered_images_ : slots_[static_cast<std::size_t>(node)].gathered;
  to.resize(images.count, units_of(node));
  for (Index r = 0; r < images.count; ++r) std::copy_n(view.row(r), to.cols(), to.data() + r * to.cols());
  return &to;
}

void BlockRunner::patch_node(std::size_t i, const Images& images, const Matrix& golden,
                             const UnitPatch& patch) {
  const Index units = units_of(static_cast<int>(i));
  const bool kept = golden.size() != 0;
  if (!kept) run_node(i, images);
  float* to = kept ? buffer_of(i, images.count) : slots_[i].own;
  ensure(to != nullptr, "a patched node has outputs of its own");
  const RowsView from{golden.data() + images.first * units, units, images.rows};
  for (Index r = 0; r < images.count; ++r, to += units) {
    if (kept) std::copy_n(from.row(r), units, to);
    for (std::size_t u = 0; u < patch.units.size(); ++u)
      to[patch.units[u]] = patch.values[static_cast<std::size_t>(r) * patch.units.size() + u];
  }
}

void BlockRunner::run_node(std::size_t i, const Images& images) {
  const Network::Node& node = network_->nodes()[i];
  const int input = node.inputs[0];
  Slot& slot = slots_[i];
  slot.own = nullptr;
  slot.home = nullptr;
  if (dense_[i]) {
    float* to = buffer_of(i, images.count);
    packed_[static_cast<std::size_t>(node.weights)]->multiply(view_of(input), images.count, to,
                                                              slot.view.stride);
    return;
  }
  if (slot.convolution != nullptr) {
    if (!slot.packed)
      slot.conv.pack(slot.convolution->sliding(), slot.convolution->groups(),
                     *weights_[static_cast<std::size_t>(node.weights)]);
    slot.packed = true;
    float* to = buffer_of(i, images.count);
    slot.conv.multiply(view_of(input), images.count, to, slot.view.stride);
    return;
  }
  Slot* source = input < 0 ? nullptr : &slots_[static_cast<std::size_t>(input)];
  float* shared =
      source != nullptr && consumers_[static_cast<std::size_t>(input)] == 1 ? source->own : nullptr;
  if (node.layer->reshapes()) {
    slot.view = view_of(input);
    slot.own = shared;
    slot.home = source != nullptr ? source->home : nullptr;
    return;
  }
  if (node.layer->elementwise() && shared != nullptr) {
    node.layer->apply(shared, images.count * source->view.stride);
    slot.view = source->view;
    slot.own = shared;
    slot.home = source->home;
    return;
  }
  std::vector<const Matrix*> inputs;
  for (const int from : node.inputs) inputs.push_back(gather(from, images));
  node.layer->forward(inputs, node.weights < 0 ? nullptr : weights_[static_cast<std::size_t>(node.weights)],
                      slot.matrix);
  slot.home = &slot.matrix;
  slot.view = {slot.matrix.data(), slot.matrix.cols(), nullptr};
  slot.own = slot.matrix.data();
}

void BlockRunner::clip_node(std::size_t i, Index count) {
  const auto [low, high, limited] = (*ranges_)[i];
  if (!limited) return;
  ensure(slots_[i].own != nullptr, "a node with limits has outputs of its own");
  float* values = slots_[i].own;
  for (Index k = 0; k < count * units_of(static_cast<int>(i)); ++k)
    values[k] = values[k] >= low ? std::min(values[k], high) : low;
}

void BlockRunner::offer(std::size_t i, Index count, NodeHook& hook) {
  Slot& slot = slots_[i];
  const RowsView from = slot.view;
  if (slot.own == nullptr) {
    float* to = buffer_of(i, count);
    for (Index r = 0; r < count; ++r) std::copy_n(from.row(r), slot.view.stride, to + r * slot.view.stride);
  }
  hook.change(static_cast<int>(i), slot.own);
}

void BlockRunner::choose(const Activations& golden, const std::vector<bool>& dirty, const UnitPatch* patch,
                         const NodeHook* hook) {
  std::fill(uses_.begin(), uses_.end(), Use::none);
  uses_.back() = Use::value;
  for (std::size_t i = uses_.size(); i-- > 0;) {
    if (hook != nullptr && hook->wants(static_cast<int>(i))) uses_[i] = Use::value;
    if (uses_[i] == Use::none) continue;
    const bool kept = i < golden.outputs.size() && golden.outputs[i].size() != 0;
    const bool patched = patch != nullptr && patch->node == static_cast<int>(i);
    if (kept && (patched || !dirty[i])) continue;
    uses_[i] = Use::computed;
    for (const int input : network_->nodes()[i].inputs) {
      if (input >= 0) uses_[static_cast<std::size_t>(input)] = Use::value;
    }
  }
}

RowsView BlockRunner::run(const Images& images) {
  return run(images, {}, all_);
}

RowsView BlockRunner::run(const Images& images, const Activations& golden, const std::vector<bool>& dirty,
                          const UnitPatch* patch, NodeHook* hook) {
  ensure(images.count <= block, "a run is at most one block of images");
  const Images range{images.images, images.rows != nullptr ? 0 : images.first, images.count, images.rows};
  const auto rows_of = [&](const Matrix& all) {
    return RowsView{all.data() + range.first * all.cols(), all.cols(), range.rows};
  };
  images_ = rows_of(*images.images);
  choose(golden, dirty, patch, hook);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (uses_[i] == Use::none) continue;
    if (patch != nullptr && patch->node == static_cast<int>(i)) {
      patch_node(i, range, golden.outputs[i], *patch);
    } else if (uses_[i] == Use::computed) {
      run_node(i, range);
    } else {
      slots_[i].own = nullptr;
      slots_[i].home = nullptr;
      slots_[i].view = rows_of(golden.outputs[i]);
    }
    const bool changed = hook != nullptr && hook->wants(static_cast<int>(i));
    if (changed) offer(i, images.count, *hook);
    if (ranges_ != nullptr && (dirty[i] || changed)) clip_node(i, range.count);
  }
  return slots_.back().view;
}

std::vector<bool> BlockRunner::descendants(std::vector<bool> marked) const {
  for (std::size_t i = 0; i < marked.size(); ++i) {
    for (const int input : network_->nodes()[i].inputs)
      marked[i] = marked[i] || (input >= 0 && marked[static_cast<std::size_t>(input)]);
  }
  return marked;
}

}  // namespace temblor
