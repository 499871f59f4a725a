#include <temblor/network/network.hpp>

namespace temblor {

std::vector<Interval> interval_forward(const Network& network, const WeightView& weights,
                                       std::span<const Radius* const> radius, const Interval& images) {
  const auto& nodes = network.nodes();
  std::vector<Interval> outputs(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    std::vector<const Interval*> inputs;
    for (const int input : node.inputs)
      inputs.push_back(input < 0 ? &images : &outputs[static_cast<std::size_t>(input)]);
    const auto layer = static_cast<std::size_t>(node.weights);
    node.layer->interval(inputs, node.weights < 0 ? nullptr : weights[layer],
                         node.weights < 0 ? nullptr : radius[layer], outputs[i]);
  }
  return outputs;
}

}  // namespace temblor
