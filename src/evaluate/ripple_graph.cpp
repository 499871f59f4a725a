#include "chain.hpp"
#include "ripple.hpp"

#include <algorithm>

namespace temblor {
namespace {

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
  std::vector<int> sums(nodes.size(), 0);
  for (const Network::Node& node : network.nodes()) {
    for (const int input : node.inputs) {
      if (input < 0) continue;
      ++readers[static_cast<std::size_t>(input)];
      sums[static_cast<std::size_t>(input)] += kind_of(*node.layer) == Kind::sum ? 1 : 0;
    }
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = network.nodes()[i];
    Node& at = nodes[i];
    at.kind = kind_of(*node.layer);
    at.into_sums = readers[i] > 0 && sums[i] == readers[i];
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

}  // namespace temblor
