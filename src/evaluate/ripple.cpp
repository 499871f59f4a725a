#include "ripple.hpp"

#include <algorithm>

namespace temblor {
namespace {

/// As many trials that may change a node share its golden outputs: then these are computed to compare with.
constexpr int enough_trials = 4;

}  // namespace

void Ripple::begin(const Baseline& base, const RippleGraph& graph, std::span<const RippleTrial> trials) {
  base_ = &base;
  graph_ = &graph;
  passing_.assign(slots_.size(), 0);
  for (const RippleTrial& trial : trials) {
    for (auto i = static_cast<std::size_t>(network_->node_of(trial.layer)); i < passing_.size(); ++i)
      ++passing_[i];
  }
}

void Ripple::look_at(Index image) {
  image_ = image;
  for (Clean& at : clean_) at.known = false;
}

const float* Ripple::run(RippleTrial& trial) {
  trial_ = &trial;
  first_ = static_cast<std::size_t>(network_->node_of(trial.layer));
  for (Slot& slot : slots_) {
    slot.value = nullptr;
    slot.changed = false;
  }
  start(first_);
  const auto last = static_cast<std::size_t>(graph_->exit);
  for (std::size_t i = first_ + 1; i <= last; ++i) step(i);
  return slots_[last].changed ? complete(graph_->exit) : nullptr;
}

/// The golden outputs that are kept or have been computed for this image, or null.
const float* Ripple::golden(int node) const {
  if (node >= 0 && clean_[static_cast<std::size_t>(node)].known)
    return clean_[static_cast<std::size_t>(node)].own.data();
  const Matrix& kept =
      node < 0 ? base_->data.images : base_->golden.activations.outputs[static_cast<std::size_t>(node)];
  return kept.size() == 0 ? nullptr : kept.data() + image_ * kept.cols();
}

/// The golden outputs.
const float* Ripple::clean(int node) {
  if (const float* known = golden(node)) return known;
  const auto i = static_cast<std::size_t>(node);
  const std::vector<int>& from = network_->nodes()[i].inputs;
  if (graph_->nodes[i].kind == RippleGraph::Kind::reshape) return clean(from[0]);
  Clean& at = clean_[i];
  const bool takes = graph_->nodes[i].kind == RippleGraph::Kind::elementwise && from[0] >= 0 &&
                     graph_->nodes[static_cast<std::size_t>(from[0])].lends && golden(from[0]) == nullptr &&
                     graph_->nodes[static_cast<std::size_t>(from[0])].kind != RippleGraph::Kind::reshape;
  if (takes) {
    clean(from[0]);
    Clean& lender = clean_[static_cast<std::size_t>(from[0])];
    lender.own.swap(at.own);
    lender.known = false;
    network_->nodes()[i].layer->apply(at.own.data(), at.own.cols());
  } else {
    std::vector<const float*> inputs;
    for (const int input : from) inputs.push_back(clean(input));
    calculate(i, inputs, graph_->nodes[i].packed, at.own);
  }
  at.known = true;
  return at.own.data();
}

/// Golden outputs to compare a node's with, or null where they are not worth computing.
const float* Ripple::compared(std::size_t i) {
  const RippleGraph::Node& at = graph_->nodes[i];
  if (at.into_sums) return nullptr;
  const bool computes = passing_[i] >= enough_trials && !at.lends;
  return computes ? clean(static_cast<int>(i)) : golden(static_cast<int>(i));
}

const Weights* Ripple::weights_of(std::size_t i) const {
  const int layer = network_->nodes()[i].weights;
  if (layer < 0) return nullptr;
  return i == first_ ? trial_->weights : &network_->weights(layer);
}

const float* Ripple::complete(int node) {
  if (node < 0) return golden(node);
  const auto i = static_cast<std::size_t>(node);
  Slot& slot = slots_[i];
  if (slot.value != nullptr) return slot.value;
  if (!slot.changed) {
    slot.value = clean(node);
  } else if (golden(node) != nullptr) {
    fill(i);
  } else {
    compute(i);
  }
  return slot.value;
}

/// All outputs of a node from all of its inputs.
void Ripple::compute(std::size_t i) {
  Slot& slot = slots_[i];
  std::vector<const float*> inputs;
  for (const int input : network_->nodes()[i].inputs) inputs.push_back(complete(input));
  const RippleGraph::Node& at = graph_->nodes[i];
  if (at.kind == RippleGraph::Kind::reshape) {
    slot.value = inputs[0];
    return;
  }
  const bool changed = i == first_;
  if (changed && !trial_->is_packed) {
    trial_->packed.pack(at.layer->sliding(), at.layer->groups(), *trial_->weights);
    trial_->is_packed = true;
  }
  calculate(i, inputs, changed ? trial_->packed : at.packed, slot.own);
  slot.value = slot.own.data();
}

/// Outputs of a node that does not reshape; `packed`: of a convolution.
void Ripple::calculate(std::size_t i, std::span<const float* const> inputs, const PackedConv& packed,
                       Matrix& own) const {
  const Network::Node& node = network_->nodes()[i];
  const RippleGraph::Node& at = graph_->nodes[i];
  const Index units = node.shape.size();
  own.resize(1, units);
  if (at.kind == RippleGraph::Kind::convolution) {
    packed.multiply({inputs[0], 0, nullptr}, 1, own.data(), units);
  } else if (at.kind == RippleGraph::Kind::dense) {
    base_->tables.packed[static_cast<std::size_t>(node.weights)].multiply({inputs[0], 0, nullptr}, 1,
                                                                          own.data(), units);
  } else if (at.kind == RippleGraph::Kind::elementwise) {
    std::copy_n(inputs[0], units, own.data());
    node.layer->apply(own.data(), units);
  } else if (at.kind == RippleGraph::Kind::sum) {
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const float sign = at.signs[k];
      for (Index u = 0; u < units; ++u)
        own.data()[u] = k == 0 ? sign * inputs[k][u] : own.data()[u] + sign * inputs[k][u];
    }
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
    node.layer->forward(pointers, node.weights < 0 ? nullptr : weights_of(i), own);
  }
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
  const Weights& weights = *trial_->weights;
  const Index group = weights.weight.rows() / at.layer->groups();
  Slot& slot = slots_[i];
  const float* input = complete(node.inputs[0]);
  slot.changed = true;
  slot.region.all_channels = false;
  slot.region.all_positions = true;
  slot.region.channels = trial_->channels;
  reserve(i);
  for (const Index channel : trial_->channels) {
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
    const Weights& weights = *weights_of(i);
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
