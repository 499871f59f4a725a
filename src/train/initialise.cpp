#include "streams.hpp"

#include <cmath>

#include <temblor/train/trainer.hpp>

namespace temblor {
namespace {

/// Kind of the first activation after a node, "" for none.
std::string_view activation_after(const Network& network, int node) {
  for (const Network::Node& next : network.nodes()) {
    for (const int input : next.inputs) {
      if (input == node && next.layer->elementwise()) return next.layer->kind();
    }
  }
  return {};
}

}  // namespace

Network initialise(const Network& network, std::uint64_t seed) {
  Network result = network;
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights drawn = network.weights(layer);
    Stream stream(seed, {training_point, static_cast<std::uint32_t>(layer), initial_stream});
    const auto inputs = static_cast<double>(drawn.weight.cols());
    const auto outputs = static_cast<double>(drawn.weight.rows());
    const std::string_view after = activation_after(network, network.node_of(layer));
    const bool he = after.empty() || after == "relu";
    const double deviation = std::sqrt(2 / (he ? inputs : inputs + outputs));
    for (Index i = 0; i < drawn.weight.size(); ++i) {
      drawn.weight.data()[i] = static_cast<float>(deviation * stream.normal());
    }
    drawn.bias.setZero();
    result = result.with(layer, std::move(drawn));
  }
  return result;
}

}  // namespace temblor
