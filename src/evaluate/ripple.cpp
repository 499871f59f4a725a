#include "ripple.hpp"

#include "chain.hpp"

#include <algorithm>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

/// More positions than this share of a plane are all computed: tiles stay whole.
constexpr double most_positions = 0.8;

RippleGraph::Kind kind_of(const Layer& layer) {
  using Kind = RippleGraph::Kind;
  if (dynamic_cast<const ConvolutionLayer*>(&layer) != nullptr) return Kind::convolution;
  if (layer.kind() == "dense") return Kind::dense;
  if (layer.elementwise()) return Kind::elementwise;
  if (layer.reshapes()) return Kind::reshape;
  if (layer.kind() == "add") return Kind::sum;
  if (layer.kind() == "max-pool" || layer.kind() == "average-pool" || layer.kind() == "global-average-pool")
    return Kind::pool;
  return Kind::other;
}

}  // namespace

RippleGraph::RippleGraph(const Network& network) : nodes(network.nodes().size()) {
  std::vector<int> readers(nodes.size(), 0);
  for (const Network::Node& node : network.nodes()) {
    for (const int input : node.inputs) readers[static_cast<std::size_t>(std::max(input, 0))] += input >= 0;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = network.nodes()[i];
    Node& at = nodes[i];
    at.kind = kind_of(*node.layer);
    const std::vector<Index>& dims = node.shape.dims;
    at.channels = dims.size() == 3 ? dims[0] : node.shape.size();
    at.positions = dims.size() == 3 ? dims[1] * dims[2] : 1;
    const int input = node.inputs.empty() ? -1 : node.inputs[0];
    if (at.kind == Kind::elementwise && input >= 0)
      nodes[static_cast<std::size_t>(input)].lends = readers[static_cast<std::size_t>(input)] == 1;
    if (at.kind == Kind::convolution) {
      at.layer = dynamic_cast<const ConvolutionLayer*>(node.layer.get());
      at.packed.pack(at.layer->sliding(), at.layer->groups(), network.weights(node.weights));
      at.plane.emplace(at.layer->sliding(), at.layer->groups());
    } else if (at.kind == Kind::pool) {
      const Shape& shape =
          input < 0 ? network.input() : network.nodes()[static_cast<std::size_t>(input)].shape;
      const std::vector<Shape> one{Shape{{1, shape.dims[1], shape.dims[2]}}};
      at.one_channel = node.layer->placed(one);
    } else if (at.kind == Kind::sum) {
      const LayerOptions options = node.layer->options();
      const std::vector<double>& signs = options.at("signs");
      for (std::size_t k = 0; k < node.inputs.size(); ++k)
        at.signs.push_back(k < signs.size() ? static_cast<float>(signs[k]) : 1.0F);
    }
  }
  tail = dense_tail(network);
  exit = static_cast<int>(nodes.size()) - 1;
  if (tail < static_cast<int>(nodes.size())) exit = network.nodes()[static_cast<std::size_t>(tail)].inputs[0];
}

void Ripple::begin(const Baseline& base, const RippleGraph& graph, const WeightView& view, int layer,
                   std::span<const Index> channels) {
  base_ = &base;
  graph_ = &graph;
  view_ = &view;
  first_ = static_cast<std::size_t>(network_->node_of(layer));
  channels_ = channels;
  is_packed_ = false;
}

const float* Ripple::run(Index image) {
  image_ = image;
  for (Slot& slot : slots_) {
    slot.value = nullptr;
    slot.changed = false;
  }
  start(first_);
  const auto last = static_cast<std::size_t>(graph_->exit);
  for (std::size_t i = first_ + 1; i <= last; ++i) step(i);
  return slots_[last].changed ? complete(graph_->exit) : nullptr;
}

/// The kept golden outputs, or null.
const float* Ripple::golden(int node) const {
  const Matrix& kept =
      node < 0 ? base_->data.images : base_->golden.activations.outputs[static_cast<std::size_t>(node)];
  return kept.size() == 0 ? nullptr : kept.data() + image_ * kept.cols();
}

const float* Ripple::complete(int node) {
  if (node < 0) return golden(node);
  Slot& slot = slots_[static_cast<std::size_t>(node)];
  if (slot.value == nullptr && !slot.changed) slot.value = golden(node);
  if (slot.value == nullptr) compute(static_cast<std::size_t>(node));
  return slot.value;
}

/// All outputs of a node from all of its inputs.
void Ripple::compute(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  Slot& slot = slots_[i];
  std::vector<const float*> inputs;
  for (const int input : node.inputs) inputs.push_back(complete(input));
  const Weights* weights = node.weights < 0 ? nullptr : (*view_)[static_cast<std::size_t>(node.weights)];
  const Index units = node.shape.size();
  if (at.kind == RippleGraph::Kind::reshape) {
    slot.value = inputs[0];
    return;
  }
  slot.own.resize(1, units);
  if (at.kind == RippleGraph::Kind::convolution) {
    if (i == first_ && !is_packed_) {
      packed_.pack(at.layer->sliding(), at.layer->groups(), *weights);
      is_packed_ = true;
    }
    (i == first_ ? packed_ : at.packed).multiply({inputs[0], 0, nullptr}, 1, slot.own.data(), units);
  } else if (at.kind == RippleGraph::Kind::dense) {
    base_->tables.packed[static_cast<std::size_t>(node.weights)].multiply({inputs[0], 0, nullptr}, 1,
                                                                          slot.own.data(), units);
  } else if (at.kind == RippleGraph::Kind::elementwise) {
    std::copy_n(inputs[0], units, slot.own.data());
    node.layer->apply(slot.own.data(), units);
  } else {
    std::vector<Matrix> copies;
    std::vector<const Matrix*> pointers;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const int from = node.inputs[k];
      const Index size = from < 0 ? network_->input().size()
                                  : network_->nodes()[static_cast<std::size_t>(from)].shape.size();
      copies.emplace_back(Eigen::Map<const Matrix>(inputs[k], 1, size));
    }
    for (const Matrix& copy : copies) pointers.push_back(&copy);
    node.layer->forward(pointers, weights, slot.own);
  }
  slot.value = slot.own.data();
}

void Ripple::step(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const bool moved = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int input) {
    return input >= 0 && slots_[static_cast<std::size_t>(input)].changed;
  });
  if (!moved) return;
  using Kind = RippleGraph::Kind;
  switch (graph_->nodes[i].kind) {
    case Kind::convolution:
      return spread(i);
    case Kind::pool:
      return pool(i);
    case Kind::elementwise:
    case Kind::sum:
      return pointwise(i);
    case Kind::reshape:
    case Kind::dense:
    case Kind::other:
      break;
  }
  slots_[i].changed = true;
  slots_[i].region = {};
  compute(i);
  if (graph_->nodes[i].kind != Kind::reshape) settle(i);
}

void Ripple::start(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  const Weights& weights = *(*view_)[static_cast<std::size_t>(node.weights)];
  const Index group = weights.weight.rows() / at.layer->groups();
  Slot& slot = slots_[i];
  const float* input = complete(node.inputs[0]);
  slot.changed = true;
  slot.region.all_channels = false;
  slot.region.all_positions = true;
  slot.region.channels.assign(channels_.begin(), channels_.end());
  prepare(i);
  for (const Index channel : channels_) {
    at.plane->run(input, channel / group, weights.weight.data() + channel * weights.weight.cols(),
                  weights.bias.size() != 0 ? weights.bias(channel) : 0.0F,
                  slot.own.data() + channel * at.positions);
  }
  settle(i);
}

/// Positions whose window meets the region.
void Ripple::reach(std::size_t i, const Region& from, Region& to) {
  const Sliding& sliding = graph_->nodes[i].layer->sliding();
  to.all_channels = true;
  to.all_positions = true;
  if (from.all_positions) return;
  const auto limit = static_cast<std::size_t>(most_positions * static_cast<double>(sliding.positions()));
  const Window& window = sliding.window();
  marks_.assign(static_cast<std::size_t>(sliding.positions()), 0);
  std::size_t count = 0;
  for (const std::int32_t p : from.positions) {
    const Index y = p / sliding.width() + window.padding[0];
    const Index x = p % sliding.width() + window.padding[1];
    for (Index r = 0; r < window.kernel[0]; ++r) {
      const Index row = y - r * window.dilation[0];
      if (row < 0 || row % window.stride[0] != 0 || row / window.stride[0] >= sliding.rows()) continue;
      for (Index c = 0; c < window.kernel[1]; ++c) {
        const Index column = x - c * window.dilation[1];
        if (column < 0 || column % window.stride[1] != 0 || column / window.stride[1] >= sliding.columns())
          continue;
        std::int32_t& mark = marks_[static_cast<std::size_t>(row / window.stride[0] * sliding.columns() +
                                                             column / window.stride[1])];
        count += mark == 0 ? 1 : 0;
        mark = 1;
      }
    }
    if (count > limit) return;
  }
  to.all_positions = false;
  to.positions.clear();
  for (std::size_t p = 0; p < marks_.size(); ++p) {
    if (marks_[p] != 0) to.positions.push_back(static_cast<std::int32_t>(p));
  }
}

void Ripple::spread(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  const Region& from = slots_[static_cast<std::size_t>(node.inputs[0])].region;
  Slot& slot = slots_[i];
  const float* input = complete(node.inputs[0]);
  slot.changed = true;
  const Index groups = at.layer->groups();
  if (groups > 1 && !from.all_channels) {
    const Weights& weights = *(*view_)[static_cast<std::size_t>(node.weights)];
    const Index inputs = at.layer->sliding().channels() / groups;
    const Index outputs = at.channels / groups;
    slot.region.all_channels = false;
    slot.region.all_positions = true;
    slot.region.channels.clear();
    for (const Index channel : from.channels) {
      const Index first = channel / inputs * outputs;
      if (!slot.region.channels.empty() && slot.region.channels.back() >= first) continue;
      for (Index c = 0; c < outputs; ++c) slot.region.channels.push_back(first + c);
    }
    prepare(i);
    for (const Index c : slot.region.channels) {
      at.plane->run(input, c / outputs, weights.weight.data() + c * weights.weight.cols(),
                    weights.bias.size() != 0 ? weights.bias(c) : 0.0F, slot.own.data() + c * at.positions);
    }
  } else {
    reach(i, from, slot.region);
    prepare(i);
    if (slot.region.full()) {
      at.packed.multiply({input, 0, nullptr}, 1, slot.own.data(), slot.own.cols());
    } else {
      at.packed.multiply_at(input, slot.region.positions, slot.own.data());
    }
  }
  settle(i);
}

void Ripple::pool(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  const Slot& from = slots_[static_cast<std::size_t>(node.inputs[0])];
  Slot& slot = slots_[i];
  slot.changed = true;
  slot.region.all_positions = true;
  slot.region.all_channels = from.region.all_channels;
  slot.region.channels = from.region.channels;
  if (from.region.all_channels) {
    compute(i);
    settle(i);
    return;
  }
  const bool planes_known = from.value != nullptr || from.region.all_positions;
  const float* input = planes_known && from.value == nullptr ? from.own.data() : complete(node.inputs[0]);
  const Index size = graph_->nodes[static_cast<std::size_t>(node.inputs[0])].positions;
  prepare(i);
  for (const Index c : slot.region.channels) {
    plane_in_ = Eigen::Map<const Matrix>(input + c * size, 1, size);
    const Matrix* in = &plane_in_;
    at.one_channel->forward({&in, 1}, nullptr, plane_out_);
    std::copy_n(plane_out_.data(), at.positions, slot.own.data() + c * at.positions);
  }
  settle(i);
}

void Ripple::unite(const Region& other, Region& region) const {
  if (region.all_channels || other.all_channels) {
    region.all_channels = true;
  } else if (region.channels != other.channels) {
    std::vector<Index> both;
    std::set_union(region.channels.begin(), region.channels.end(), other.channels.begin(),
                   other.channels.end(), std::back_inserter(both));
    region.channels = std::move(both);
  }
  if (region.all_positions || other.all_positions) {
    region.all_positions = true;
  } else if (region.positions != other.positions) {
    std::vector<std::int32_t> both;
    std::set_union(region.positions.begin(), region.positions.end(), other.positions.begin(),
                   other.positions.end(), std::back_inserter(both));
    region.positions = std::move(both);
  }
}

/// Outputs of a node that are known within `region`, which covers the node's own.
const float* Ripple::known_in(int node, const Region& region) {
  if (node < 0) return complete(node);
  Slot& slot = slots_[static_cast<std::size_t>(node)];
  if (slot.value != nullptr || !slot.changed) return complete(node);
  const Region& own = slot.region;
  const bool channels = own.all_channels || (!region.all_channels && own.channels == region.channels);
  if (!channels) return complete(node);
  if (own.all_positions || (!region.all_positions && own.positions == region.positions))
    return slot.own.data();
  const RippleGraph::Node& at = graph_->nodes[static_cast<std::size_t>(node)];
  if (region.all_positions || !own.all_channels || at.kind != RippleGraph::Kind::convolution ||
      static_cast<std::size_t>(node) == first_)
    return complete(node);
  std::vector<std::int32_t> more;
  std::set_difference(region.positions.begin(), region.positions.end(), own.positions.begin(),
                      own.positions.end(), std::back_inserter(more));
  at.packed.multiply_at(complete(network_->nodes()[static_cast<std::size_t>(node)].inputs[0]), more,
                        slot.own.data());
  unite(region, slot.region);
  return slot.own.data();
}

void Ripple::pointwise(std::size_t i) {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  Slot& slot = slots_[i];
  Region& region = slot.region;
  bool first = true;
  for (const int input : node.inputs) {
    if (input < 0 || !slots_[static_cast<std::size_t>(input)].changed) continue;
    const Region& from = slots_[static_cast<std::size_t>(input)].region;
    if (first) {
      region = from;
    } else {
      unite(from, region);
    }
    first = false;
  }
  slot.changed = true;
  const int source = node.inputs[0];
  Slot* lender = source < 0 ? nullptr : &slots_[static_cast<std::size_t>(source)];
  const bool elementwise = at.kind == RippleGraph::Kind::elementwise;
  if (elementwise && region.full() && graph_->nodes[static_cast<std::size_t>(source)].lends &&
      lender->value == lender->own.data()) {
    lender->own.swap(slot.own);
    lender->value = nullptr;
    slot.value = slot.own.data();
    node.layer->apply(slot.own.data(), slot.own.cols());
    settle(i);
    return;
  }
  prepare(i);
  const Index channels = region.all_channels ? at.channels : static_cast<Index>(region.channels.size());
  const Index positions = region.all_positions ? at.positions : static_cast<Index>(region.positions.size());
  const auto channel_of = [&](Index c) {
    return region.all_channels ? c : region.channels[static_cast<std::size_t>(c)];
  };
  std::vector<const float*> inputs;
  for (const int input : node.inputs) inputs.push_back(known_in(input, region));
  // A few positions are gathered: one call of the activation for all channels.
  if (!region.all_positions) values_.resize(static_cast<std::size_t>(channels * positions));
  for (Index c = 0; c < channels; ++c) {
    const Index first_value = channel_of(c) * at.positions;
    float* to = region.all_positions ? slot.own.data() + first_value : values_.data() + c * positions;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const float* plane = inputs[k] + first_value;
      const float sign = elementwise ? 1.0F : at.signs[k];
      const std::int32_t* places = region.positions.data();
      if (region.all_positions && k == 0) {
        for (Index p = 0; p < positions; ++p) to[p] = sign * plane[p];
      } else if (region.all_positions) {
        for (Index p = 0; p < positions; ++p) to[p] += sign * plane[p];
      } else if (k == 0) {
        for (Index p = 0; p < positions; ++p) to[p] = sign * plane[places[p]];
      } else {
        for (Index p = 0; p < positions; ++p) to[p] += sign * plane[places[p]];
      }
    }
    if (elementwise && region.all_positions) node.layer->apply(to, positions);
  }
  if (!region.all_positions) {
    if (elementwise) node.layer->apply(values_.data(), channels * positions);
    for (Index c = 0; c < channels; ++c) {
      const float* from = values_.data() + c * positions;
      float* plane = slot.own.data() + channel_of(c) * at.positions;
      for (Index p = 0; p < positions; ++p) plane[region.positions[static_cast<std::size_t>(p)]] = from[p];
    }
  }
  settle(i);
}

/// Room for the node's outputs; outside its region they are the golden ones, where those are kept.
void Ripple::prepare(std::size_t i) {
  Slot& slot = slots_[i];
  slot.own.resize(1, network_->nodes()[i].shape.size());
  if (slot.region.full()) return;
  if (const float* kept = golden(static_cast<int>(i))) std::copy_n(kept, slot.own.cols(), slot.own.data());
}

/// Shrinks the region of a node whose outputs are computed there to where they differ from the golden ones.
void Ripple::settle(std::size_t i) {
  Slot& slot = slots_[i];
  Region& region = slot.region;
  const float* kept = golden(static_cast<int>(i));
  if (kept == nullptr) {
    if (region.full()) slot.value = slot.own.data();
    return;
  }
  slot.value = slot.own.data();
  const RippleGraph::Node& at = graph_->nodes[i];
  const Index channels = region.all_channels ? at.channels : static_cast<Index>(region.channels.size());
  marks_.assign(static_cast<std::size_t>(at.positions), 0);
  std::int32_t* marks = marks_.data();
  std::size_t found = 0;
  for (Index c = 0; c < channels; ++c) {
    const Index channel = region.all_channels ? c : region.channels[static_cast<std::size_t>(c)];
    const float* now = slot.own.data() + channel * at.positions;
    const float* before = kept + channel * at.positions;
    std::int32_t any = 0;
    if (region.all_positions) {
      for (Index p = 0; p < at.positions; ++p) {
        const std::int32_t differs = now[p] == before[p] ? 0 : 1;
        marks[p] |= differs;
        any |= differs;
      }
    } else {
      for (const std::int32_t p : region.positions) {
        const std::int32_t differs = now[p] == before[p] ? 0 : 1;
        marks[p] |= differs;
        any |= differs;
      }
    }
    if (!region.all_channels && any != 0) region.channels[found++] = channel;
  }
  if (!region.all_channels) region.channels.resize(found);
  region.positions.clear();
  for (Index p = 0; p < at.positions; ++p) {
    if (marks[p] != 0) region.positions.push_back(static_cast<std::int32_t>(p));
  }
  region.all_positions = static_cast<Index>(region.positions.size()) == at.positions;
  if (region.positions.empty()) {
    slot.changed = false;
    slot.value = kept;
  }
}

}  // namespace temblor
