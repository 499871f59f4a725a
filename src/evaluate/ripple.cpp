#include "ripple.hpp"

#include <algorithm>

namespace temblor {

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
  if (slot.value == nullptr && golden(node) != nullptr) fill(static_cast<std::size_t>(node));
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
  reserve(i);
  for (const Index channel : channels_) {
    at.plane->run(input, channel / group, weights.weight.data() + channel * weights.weight.cols(),
                  weights.bias.size() != 0 ? weights.bias(channel) : 0.0F,
                  slot.own.data() + channel * at.positions);
  }
  settle(i);
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
    reserve(i);
    for (const Index c : slot.region.channels) {
      at.plane->run(input, c / outputs, weights.weight.data() + c * weights.weight.cols(),
                    weights.bias.size() != 0 ? weights.bias(c) : 0.0F, slot.own.data() + c * at.positions);
    }
  } else {
    reach(i, from, slot.region);
    reserve(i);
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
  reserve(i);
  for (const Index c : slot.region.channels) {
    plane_in_ = Eigen::Map<const Matrix>(input + c * size, 1, size);
    const Matrix* in = &plane_in_;
    at.one_channel->forward({&in, 1}, nullptr, plane_out_);
    std::copy_n(plane_out_.data(), at.positions, slot.own.data() + c * at.positions);
  }
  settle(i);
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
  reserve(i);
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

}  // namespace temblor
