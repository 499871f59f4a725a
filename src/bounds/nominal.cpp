#include <algorithm>

#include <temblor/bounds/nominal.hpp>
#include <temblor/network/double_double.hpp>

namespace temblor {
namespace {

/// Half a unit in the last place of a float, and two bits to spare.
constexpr double enough = 0x1p-26;

template <class Values>
std::vector<const Values*> inputs_of(const Network::Node& node, const Values& images,
                                     const std::vector<Values>& outputs) {
  std::vector<const Values*> inputs;
  for (const int input : node.inputs)
    inputs.push_back(input < 0 ? &images : &outputs[static_cast<std::size_t>(input)]);
  return inputs;
}

const Weights* weights_of(const Network& network, const Network::Node& node) {
  return node.weights < 0 ? nullptr : &network.weights(node.weights);
}

bool wide(const Interval& values) {
  const double most = std::max(values.upper.maxCoeff(), -values.lower.minCoeff());
  return (values.upper - values.lower).maxCoeff() > enough * most;
}

void intersect(const Interval& with, Interval& values) {
  for (Index i = 0; i < values.lower.size(); ++i) {
    double& lower = values.lower.data()[i];
    double& upper = values.upper.data()[i];
    if (with.lower.data()[i] > lower) lower = with.lower.data()[i];
    if (with.upper.data()[i] < upper) upper = with.upper.data()[i];
  }
}

std::vector<Interval> in_double_double(const Network& network, const Interval& images, std::size_t nodes) {
  std::vector<Interval> outputs(nodes);
  std::vector<DoubleDouble> values(nodes);
  const DoubleDouble start = double_double(images);
  for (std::size_t k = 0; k < nodes; ++k) {
    const auto& node = network.nodes()[k];
    const Weights* weights = weights_of(network, node);
    const auto* layer = dynamic_cast<const DoubleDoubleLayer*>(node.layer.get());
    if (layer != nullptr) {
      layer->run(inputs_of(node, start, values), weights, values[k]);
      outputs[k] = enclosing(values[k]);
      if (weights != nullptr) continue;
      // What is known of signs stays known.
      Interval other;
      node.layer->interval(inputs_of(node, images, outputs), nullptr, nullptr, other);
      intersect(other, outputs[k]);
    } else {
      node.layer->interval(inputs_of(node, images, outputs), weights, nullptr, outputs[k]);
      values[k] = double_double(outputs[k]);
    }
  }
  return outputs;
}

}  // namespace

std::vector<Interval> nominal_outputs(const Network& network, const Interval& images, std::size_t nodes) {
  std::vector<Interval> outputs(nodes);
  for (std::size_t k = 0; k < nodes; ++k) {
    const auto& node = network.nodes()[k];
    node.layer->interval(inputs_of(node, images, outputs), weights_of(network, node), nullptr, outputs[k]);
    if (wide(outputs[k])) return in_double_double(network, images, nodes);
  }
  return outputs;
}

}  // namespace temblor
