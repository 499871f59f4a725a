#include "chain.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor {
namespace {

constexpr double unit_roundoff = 0x1p-24;
/// Sums beyond this may overflow in one order of additions and not in another.
constexpr double largest_sum = 1e38;

/// To float, never below.
float up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

/// Nodes of the chain: dense layers and the activation after each (-1: none). Empty when it is not one.
std::vector<std::pair<int, int>> chain_nodes(const Network& network) {
  std::vector<std::pair<int, int>> chain;
  const auto& nodes = network.nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    const int index = static_cast<int>(i);
    if (node.inputs != std::vector<int>{index - 1}) return {};
    if (node.layer->kind() == "dense") {
      chain.emplace_back(index, -1);
    } else if (node.layer->elementwise() && !chain.empty() && chain.back().second < 0 &&
               i + 1 < nodes.size()) {
      chain.back().second = index;
    } else if (!node.layer->reshapes() || !chain.empty()) {
      return {};
    }
  }
  return chain;
}

template <class Values>
bool finite(const Values& values) {
  return (values.array() - values.array() == 0.0F).all();
}

Chain::Stage make_stage(const Network& network, const Golden& golden, const Matrix& images,
                        std::pair<int, int> nodes) {
  Chain::Stage stage;
  stage.node = nodes.first;
  if (nodes.second >= 0)
    stage.activation = network.nodes()[static_cast<std::size_t>(nodes.second)].layer.get();
  const Network::Node& node = network.nodes()[static_cast<std::size_t>(nodes.first)];
  const Matrix& input = golden.activations.of(node.inputs[0], images);
  stage.input = input.transpose();
  stage.before = golden.activations.outputs[static_cast<std::size_t>(nodes.first)].transpose();
  const Weights& weights = network.weights(node.weights);
  double most_norm = 0;
  double largest_row = 0;
  for (Index n = 0; n < input.rows(); ++n) {
    stage.input_norm.push_back(up(input.row(n).cast<double>().norm()));
    most_norm = std::max(most_norm, static_cast<double>(stage.input_norm.back()));
  }
  for (Index j = 0; j < stage.input.rows(); ++j)
    stage.input_max.push_back(stage.input.row(j).cwiseAbs().maxCoeff());
  for (Index i = 0; i < weights.weight.rows(); ++i) {
    stage.row_norm.push_back(up(weights.weight.row(i).cast<double>().norm()));
    const double bias = weights.bias.size() != 0 ? std::fabs(static_cast<double>(weights.bias(i))) : 0.0;
    largest_row = std::max(largest_row, static_cast<double>(stage.row_norm.back()) * most_norm + bias);
  }
  stage.most = largest_row;
  stage.kappa = up(2.1 * (static_cast<double>(weights.weight.cols()) + 26) * unit_roundoff);
  return stage;
}

/// reach, B and K of every stage, from the last to the first.
void add_rounding(const Network& network, const Golden& golden, const Matrix& images, Chain& chain) {
  const Index classes = network.classes();
  MatrixD above = MatrixD::Identity(classes, classes);
  VectorD rounding = VectorD::Zero(images.rows());
  double kappas = 0;
  double growth = 1;
  for (std::size_t m = chain.stages.size(); m-- > 0;) {
    Chain::Stage& stage = chain.stages[m];
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(stage.node)];
    const Weights& weights = network.weights(node.weights);
    const VectorD reach = above.colwise().maxCoeff().transpose();
    for (Index i = 0; i < reach.size(); ++i) stage.reach.push_back(up(reach(i)));
    for (Index n = 0; n < rounding.size(); ++n) stage.rounding.push_back(up(rounding(n)));
    stage.kappa_above = up(kappas);
    const MatrixD size = weights.weight.cast<double>().cwiseAbs();
    const Matrix& input = golden.activations.of(node.inputs[0], images);
    const double kappa = stage.kappa;
    const double bias = weights.bias.size() != 0 ? reach.dot(weights.bias.cast<double>().cwiseAbs()) : 0.0;
    const VectorD pull = size.transpose() * reach;
    for (Index n = 0; n < rounding.size(); ++n)
      rounding(n) += kappa * (input.row(n).cast<double>().cwiseAbs().dot(pull.transpose()) + bias);
    kappas += kappa;
    stage.growth = growth;
    growth *= std::max(1.0, size.rowwise().sum().maxCoeff());
    above = above * size;
  }
}

}  // namespace

std::unique_ptr<const Chain> make_chain(const Network& network, const Dataset& data, const Golden& golden) {
  const auto nodes = chain_nodes(network);
  if (nodes.empty() || nodes.back().second >= 0) return nullptr;
  if (!finite(data.images)) return nullptr;
  for (const Matrix& output : golden.activations.outputs) {
    if (!finite(output)) return nullptr;
  }
  auto made = std::make_unique<Chain>();
  Chain& chain = *made;
  for (const auto& pair : nodes) {
    chain.stages.push_back(make_stage(network, golden, data.images, pair));
    if (!(chain.stages.back().most < largest_sum)) return nullptr;
  }
  add_rounding(network, golden, data.images, chain);
  const Matrix& logits = golden.logits();
  for (Index n = 0; n < logits.rows(); ++n) {
    float first = -std::numeric_limits<float>::infinity();
    float second = first;
    for (Index j = 0; j < logits.cols(); ++j) {
      const float value = logits(n, j);
      second = std::max(second, std::min(first, value));
      first = std::max(first, value);
    }
    chain.gap.push_back(first - second);
  }
  return made;
}

}  // namespace temblor
