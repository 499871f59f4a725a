#include "golden.hpp"

#include <algorithm>
#include <queue>

namespace temblor {
namespace {

/// Multiplications, about.
double work_of(const Network& network, const Network::Node& node) {
  if (node.layer->reshapes()) return 0;
  const auto size = static_cast<double>(node.shape.size());
  if (node.weights < 0) return size;
  const Matrix& weight = network.weights(node.weights).weight;
  const bool dense = node.layer->kind() == "dense";
  return dense ? static_cast<double>(weight.size()) : size * static_cast<double>(weight.cols());
}

/// What computing again the clean inputs of faulty parts costs.
class Costs {
 public:
  explicit Costs(const Network& network) : network_(network) {
    for (const Network::Node& node : network.nodes()) work_.push_back(work_of(network, node));
    for (int layer = 0; layer < network.layers(); ++layer)
      share_.push_back(static_cast<double>(network.weights(layer).weight.size()) /
                       static_cast<double>(std::max<Index>(1, network.weight_count())));
  }

  /// Expected work an image for one fault of a uniformly drawn weight, when these nodes are kept.
  double expected(const std::vector<bool>& kept) const {
    double total = 0;
    for (int layer = 0; layer < network_.layers(); ++layer)
      total += share_[static_cast<std::size_t>(layer)] * clean_work(network_.node_of(layer), kept);
    return total;
  }

 private:
  double clean_work(int faulty, const std::vector<bool>& kept) const {
    const auto& nodes = network_.nodes();
    std::vector<bool> dirty(nodes.size(), false);
    std::vector<bool> needed(nodes.size(), false);
    dirty[static_cast<std::size_t>(faulty)] = true;
    for (std::size_t i = static_cast<std::size_t>(faulty); i < nodes.size(); ++i) {
      for (const int input : nodes[i].inputs)
        dirty[i] = dirty[i] || (input >= 0 && dirty[static_cast<std::size_t>(input)]);
    }
    double total = 0;
    for (std::size_t i = nodes.size(); i-- > 0;) {
      if (!dirty[i] && !(needed[i] && !kept[i])) continue;
      if (!dirty[i]) total += work_[i];
      for (const int input : nodes[i].inputs) {
        if (input >= 0) needed[static_cast<std::size_t>(input)] = true;
      }
    }
    return total;
  }

  const Network& network_;
  std::vector<double> work_;
  std::vector<double> share_;  ///< of the weights, one entry a layer
};

/// Whether one element-wise layer alone reads the node, which is no dense layer: those are small, and patched
/// unit by unit.
bool before_activation(const Network& network, std::size_t node) {
  int readers = 0;
  bool elementwise = false;
  for (const Network::Node& other : network.nodes()) {
    for (const int input : other.inputs) {
      if (input != static_cast<int>(node)) continue;
      ++readers;
      elementwise = other.layer->elementwise();
    }
  }
  return readers == 1 && elementwise && network.nodes()[node].layer->kind() != "dense";
}

}  // namespace

std::vector<bool> nodes_to_keep(const Network& network, Index images, std::int64_t memory) {
  const auto& nodes = network.nodes();
  std::vector<bool> kept(nodes.size(), false);
  kept.back() = true;
  std::vector<std::size_t> candidates;
  for (std::size_t i = 0; i + 1 < nodes.size(); ++i) {
    if (!nodes[i].layer->reshapes() && !before_activation(network, i)) candidates.push_back(i);
  }
  const auto bytes_of = [&](std::size_t i) {
    return static_cast<double>(nodes[i].shape.size()) * static_cast<double>(images) * sizeof(float);
  };
  auto left = static_cast<double>(memory);
  const auto keep = [&](std::size_t i) {
    kept[i] = true;
    left -= bytes_of(i);
  };
  double all = 0;
  for (const std::size_t i : candidates) all += bytes_of(i);
  if (all > left) {
    // Greedy with gains that are brought up to date when they come to the top: what one node saves hardly
    // grows when others are kept.
    const Costs costs(network);
    double now = costs.expected(kept);
    using Entry = std::pair<double, std::size_t>;  // gain by byte
    std::priority_queue<Entry> queue;
    const auto gain = [&](std::size_t i) {
      kept[i] = true;
      const double saved = now - costs.expected(kept);
      kept[i] = false;
      return saved / bytes_of(i);
    };
    for (const std::size_t i : candidates) queue.emplace(gain(i), i);
    while (!queue.empty()) {
      const auto [stale, i] = queue.top();
      queue.pop();
      if (bytes_of(i) > left) continue;
      const double fresh = gain(i);
      if (!queue.empty() && fresh < queue.top().first) {
        queue.emplace(fresh, i);
        continue;
      }
      if (!(fresh > 0)) break;
      keep(i);
      now = costs.expected(kept);
    }
  }
  for (auto at = candidates.rbegin(); at != candidates.rend(); ++at) {
    if (!kept[*at] && bytes_of(*at) <= left) keep(*at);
  }
  return kept;
}

}  // namespace temblor
