#include "chain.hpp"

#include "golden.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace temblor {
namespace {

constexpr double unit_roundoff = 0x1p-24;
/// Golden sums beyond this leave changes no room to grow before they overflow.
constexpr double largest_sum = 1e37;

constexpr Index block = 64;

/// To float, never below.
float up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

/// Nodes of the chain that the network ends in: dense layers and the activation after each (-1: none).
std::vector<std::pair<int, int>> chain_nodes(const Network& network) {
  std::vector<std::pair<int, int>> chain;
  const auto& nodes = network.nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    const int index = static_cast<int>(i);
    const bool follows = node.inputs == std::vector<int>{index - 1};
    const bool activates = follows && node.layer->elementwise() && !chain.empty() &&
                           chain.back().second < 0 && i + 1 < nodes.size();
    if (activates) {
      chain.back().second = index;
      continue;
    }
    const bool dense = node.layer->kind() == "dense";
    if (!dense || !follows) chain.clear();
    if (dense) chain.emplace_back(index, -1);
  }
  return chain;
}

template <class Values>
bool finite(const Values& values) {
  return (values.array() - values.array() == 0.0F).all();
}

/// Partial sums of every unit for every image: the sum of their magnitudes, [outputs x images], and the
/// largest.
double add_paths(const Matrix& input, const Weights& weights, bool first_stage, Matrix& path) {
  const Index units = weights.weight.rows();
  const Matrix columns = weights.weight.transpose();
  path.resize(units, input.rows());
  std::vector<double> largest(static_cast<std::size_t>((input.rows() + block - 1) / block), 0.0);
  const auto run = [&](Index b) {
    const Index first = b * block;
    const Index count = std::min(block, input.rows() - first);
    Matrix total = Matrix::Zero(count, units);
    Vector sum(units);
    for (Index n = 0; n < count; ++n) {
      if (weights.bias.size() != 0) {
        sum = weights.bias;
      } else {
        sum.setZero();
      }
      float* add = total.data() + n * units;
      if (!first_stage) total.row(n) = sum.cwiseAbs().transpose();
      for (Index k = 0; k < columns.rows(); ++k) {
        const float z = input(first + n, k);
        if (first_stage && z == 0.0F) continue;
        const float* w = columns.data() + k * units;
        for (Index i = 0; i < units; ++i) {
          sum[i] += w[i] * z;
          add[i] += std::fabs(sum[i]);
        }
      }
    }
    largest[static_cast<std::size_t>(b)] = total.maxCoeff();
    path.middleCols(first, count) = total.transpose();
  };
  // Isolated: a worker that waits here must not start another trial with the same scratch.
  tbb::this_task_arena::isolate(
      [&] { tbb::parallel_for(Index{0}, static_cast<Index>(largest.size()), run); });
  const double bias =
      weights.bias.size() != 0 ? static_cast<double>(weights.bias.cwiseAbs().maxCoeff()) : 0.0;
  return std::max(bias, *std::max_element(largest.begin(), largest.end()));
}

/// False where a golden value is not finite.
bool make_stage(const Network& network, const Dataset& data, const Golden& golden, std::pair<int, int> nodes,
                bool first_stage, Chain::Stage& stage) {
  stage.node = nodes.first;
  if (nodes.second >= 0)
    stage.activation = network.nodes()[static_cast<std::size_t>(nodes.second)].layer.get();
  const Network::Node& node = network.nodes()[static_cast<std::size_t>(nodes.first)];
  stage.inputs = golden_outputs(network, data, golden, node.inputs[0]);
  stage.outputs = golden_outputs(network, data, golden, nodes.first);
  if (!finite(*stage.inputs) || !finite(*stage.outputs)) return false;
  stage.input = stage.inputs->transpose();
  stage.before = stage.outputs->transpose();
  for (Index j = 0; j < stage.input.rows(); ++j)
    stage.input_max.push_back(stage.input.row(j).cwiseAbs().maxCoeff());
  stage.most = add_paths(*stage.inputs, network.weights(node.weights), first_stage, stage.path);
  return stage.most < largest_sum;
}

/// reach, B and K of every stage, from the last to the first.
void add_rounding(const Network& network, Index images, Chain& chain) {
  const Index classes = network.classes();
  MatrixD above = MatrixD::Identity(classes, classes);
  VectorD rounding = VectorD::Zero(images);
  double factor_above = 0;
  double growth = 1;
  for (std::size_t m = chain.stages.size(); m-- > 0;) {
    Chain::Stage& stage = chain.stages[m];
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(stage.node)];
    const Matrix& weight = network.weights(node.weights).weight;
    const VectorD reach = above.colwise().maxCoeff().transpose();
    for (Index i = 0; i < reach.size(); ++i) stage.reach.push_back(up(reach(i)));
    for (Index n = 0; n < rounding.size(); ++n) stage.rounding.push_back(up(rounding(n)));
    stage.factor_above = up(factor_above);
    stage.growth = growth;

    const MatrixD size = weight.cast<double>().cwiseAbs();
    const VectorD pull = size.transpose() * reach;
    rounding += unit_roundoff * (2.0 * stage.path.cast<double>().transpose() * reach +
                                 48.0 * stage.input.cast<double>().cwiseAbs().transpose() * pull);
    factor_above += 2.0 * (static_cast<double>(weight.cols()) + 26) * unit_roundoff;
    growth *= std::max(1.0, size.rowwise().sum().maxCoeff());
    above = above * size;
  }
}

}  // namespace

int dense_tail(const Network& network) {
  const auto nodes = chain_nodes(network);
  return nodes.empty() ? static_cast<int>(network.nodes().size()) : nodes.front().first;
}

std::unique_ptr<const Chain> make_chain(const Network& network, const Dataset& data, const Golden& golden) {
  const auto nodes = chain_nodes(network);
  if (nodes.empty()) return nullptr;
  auto made = std::make_unique<Chain>();
  Chain& chain = *made;
  for (const auto& pair : nodes) {
    const bool first = chain.stages.empty();
    if (!make_stage(network, data, golden, pair, first, chain.stages.emplace_back())) return nullptr;
  }
  add_rounding(network, data.images.rows(), chain);
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
