#include "graph.hpp"

#include <algorithm>

namespace temblor::pgd {

Reach reach(const Network& network, const LayerSet& layers, bool image_moves) {
  const auto& nodes = network.nodes();
  Reach result;
  result.image_moves = image_moves;
  result.moving.assign(nodes.size(), false);
  result.read.assign(nodes.size(), false);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& node = nodes[i];
    result.moving[i] =
        std::find(layers.begin(), layers.end(), node.weights) != layers.end() && node.weights >= 0;
    for (const int input : node.inputs) result.moving[i] = result.moving[i] || !result.fixed(input);
    if (!result.moving[i]) continue;
    for (const int input : node.inputs) {
      if (!result.fixed(input)) continue;
      if (input < 0) result.image_read = true;
      if (input >= 0) result.read[static_cast<std::size_t>(input)] = true;
    }
  }
  result.first =
      static_cast<int>(std::find(result.moving.begin(), result.moving.end(), true) - result.moving.begin());
  return result;
}

void run_fixed(const Network& network, const Reach& reach, const Matrix& images, Activations& activations) {
  const auto& nodes = network.nodes();
  activations.outputs.assign(nodes.size(), Matrix());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (reach.moving[i]) continue;
    const Weights* weights = nodes[i].weights < 0 ? nullptr : &network.weights(nodes[i].weights);
    nodes[i].layer->forward(inputs_of(nodes[i], images, activations), weights, activations.outputs[i]);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!reach.read[i]) activations.outputs[i] = Matrix();
  }
}

std::vector<const Matrix*> inputs_of(const Network::Node& node, const Matrix& images,
                                     const Activations& activations) {
  std::vector<const Matrix*> inputs;
  inputs.reserve(node.inputs.size());
  for (const int input : node.inputs) inputs.push_back(&activations.of(input, images));
  return inputs;
}

}  // namespace temblor::pgd
