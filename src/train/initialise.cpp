#include "streams.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <temblor/train/trainer.hpp>

namespace temblor {
namespace {

/// Kind of the first activation behind a node, also behind pooling, sums and other layers without parameters;
/// "" for none.
std::string_view activation_after(const Network& network, int node) {
  std::set<int> reached = {node};
  for (int next = node + 1; next < static_cast<int>(network.nodes().size()); ++next) {
    const Network::Node& here = network.nodes()[static_cast<std::size_t>(next)];
    const bool behind = std::any_of(here.inputs.begin(), here.inputs.end(),
                                    [&](int input) { return reached.contains(input); });
    if (!behind) continue;
    if (here.layer->elementwise()) return here.layer->kind();
    if (!here.layer->weighted()) reached.insert(next);
  }
  return {};
}

/// Cells of a weight's window.
double taps(const Layer& layer) {
  const auto options = layer.options();
  const auto kernel = options.find("kernel");
  return kernel == options.end() ? 1 : kernel->second[0] * kernel->second[1];
}

/// Whether a layer ends a branch that is added to values that came past it.
bool ends_branch(const Network& network, int node) {
  for (const Network::Node& next : network.nodes()) {
    if (next.layer->kind() != "add") continue;
    const auto& inputs = next.inputs;
    if (std::find(inputs.begin(), inputs.end(), node) == inputs.end()) continue;
    for (const int input : inputs) {
      if (input < 0 || !network.nodes()[static_cast<std::size_t>(input)].layer->weighted()) return true;
    }
  }
  return false;
}

}  // namespace

Network initialise(const Network& network, std::uint64_t seed, bool batch_norm) {
  Network result = network;
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights drawn = network.weights(layer);
    Stream stream(seed, {training_point, static_cast<std::uint32_t>(layer), initial_stream});
    const auto inputs = static_cast<double>(drawn.weight.cols());
    const int node = network.node_of(layer);
    const auto outputs = static_cast<double>(drawn.weight.rows()) *
                         taps(*network.nodes()[static_cast<std::size_t>(node)].layer);
    const std::string_view after = activation_after(network, node);
    const bool glorot = after == "sigmoid" || after == "tanh";
    double deviation = std::sqrt(2 / (glorot ? inputs + outputs : inputs));
    if (!batch_norm && ends_branch(network, node)) deviation = 0;
    for (Index i = 0; i < drawn.weight.size(); ++i) {
      drawn.weight.data()[i] = static_cast<float>(deviation * stream.normal());
    }
    drawn.bias.setZero();
    result = result.with(layer, std::move(drawn));
  }
  return result;
}

}  // namespace temblor
