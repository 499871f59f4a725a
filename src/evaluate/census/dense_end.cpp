#include "dense_end.hpp"

namespace temblor::census {
namespace {

/// The first dense layer of those after which every node reads the one before; the number of nodes where
/// there is none.
std::size_t begin_of_end(const Network& network) {
  const auto& nodes = network.nodes();
  std::size_t begin = nodes.size();
  std::size_t dense = nodes.size();
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const Network::Node& node = nodes[i];
    const std::string_view kind = node.layer->kind();
    const bool last = begin == nodes.size();
    // Every activation follows a dense layer, and the last node is one.
    const bool activation = kind == "relu" && !last && i > 0 && nodes[i - 1].layer->kind() == "dense";
    if (kind != "dense" && !activation && !(node.layer->reshapes() && !last)) break;
    if (node.inputs.size() != 1) break;
    begin = i;
    if (kind == "dense") dense = i;
    if (node.inputs[0] != static_cast<int>(i) - 1) break;
  }
  return dense;
}

}  // namespace

std::unique_ptr<const DenseEnd> dense_end(const Network& network) {
  const auto& nodes = network.nodes();
  const std::size_t first = begin_of_end(network);
  if (first >= nodes.size()) return nullptr;
  const Network::Node& begin = nodes[first];
  const Index units = network.weights(begin.weights).weight.cols();
  auto end = std::make_unique<DenseEnd>(
      DenseEnd{begin.inputs[0], begin.weights, Network(Shape{{units}}, InputScaling{}), {}});
  for (std::size_t i = first; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    if (node.layer->reshapes()) continue;
    end->network.add(node.layer, node.weights >= 0 ? network.weights(node.weights) : Weights{});
    end->node.push_back(static_cast<int>(i));
  }
  return end;
}

Dataset end_data(const Matrix& outputs, const std::vector<std::int32_t>& labels, Index classes) {
  Dataset data;
  data.shape = Shape{{outputs.cols()}};
  data.classes = classes;
  data.images = outputs;
  data.labels = labels;
  return data;
}

}  // namespace temblor::census
