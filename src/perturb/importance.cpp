#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/perturb/importance.hpp>

namespace temblor {
namespace {

/// Rows of logits become the gradient of their cross-entropy: softmax minus the label.
void to_gradient(Matrix& logits, const std::int32_t* labels) {
  for (Index n = 0; n < logits.rows(); ++n) {
    const float most = logits.row(n).maxCoeff();
    logits.row(n) = (logits.row(n).array() - most).exp();
    logits.row(n) /= logits.row(n).sum();
    logits(n, labels[n]) -= 1.0F;
  }
}

}  // namespace

Importance gradient_importance(const Network& network, const Dataset& data) {
  // Outputs of all nodes for a block: 64 MiB at most, where one image leaves a choice.
  Index values = 0;
  for (const auto& node : network.nodes()) values += node.shape.size();
  const Index block = std::clamp<Index>((Index{1} << 24) / values, 1, 256);
  std::vector<Weights> sums;
  for (int layer = 0; layer < network.layers(); ++layer) {
    Weights zero = network.weights(layer);
    zero.weight.setZero();
    zero.bias.setZero();
    sums.push_back(std::move(zero));
  }
  std::vector<Weights*> grads;
  for (auto& sum : sums) grads.push_back(&sum);
  for (Index first = 0; first < data.size(); first += block) {
    const Matrix images = data.images.middleRows(first, std::min(block, data.size() - first));
    Activations activations;
    forward(network, network.view(), images, activations);
    Matrix gradient = activations.outputs.back();
    to_gradient(gradient, data.labels.data() + first);
    backward(network, network.view(), images, activations, gradient, grads);
  }
  Importance scores;
  for (const auto& sum : sums) {
    auto& layer = scores.emplace_back();
    for (Index i = 0; i < sum.weight.size(); ++i)
      layer.push_back(std::fabs(static_cast<double>(sum.weight.data()[i])) /
                      static_cast<double>(data.size()));
  }
  return scores;
}

Importance magnitude_importance(const Network& network) {
  Importance scores;
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto& weight = network.weights(layer).weight;
    auto& of_layer = scores.emplace_back();
    for (Index i = 0; i < weight.size(); ++i)
      of_layer.push_back(std::fabs(static_cast<double>(weight.data()[i])));
  }
  return scores;
}

std::vector<std::vector<std::uint32_t>> most_important(const Importance& scores, std::uint64_t count) {
  struct Ranked {
    double score;
    std::uint32_t layer, index;
  };
  std::vector<Ranked> all;
  for (std::size_t layer = 0; layer < scores.size(); ++layer) {
    for (std::size_t i = 0; i < scores[layer].size(); ++i) {
      const double score =
          std::isnan(scores[layer][i]) ? -std::numeric_limits<double>::infinity() : scores[layer][i];
      all.push_back({score, static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i)});
    }
  }
  ensure(count <= all.size(), "no more weights are chosen than there are");
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(all.begin(), end, all.end(), [](const Ranked& a, const Ranked& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.layer != b.layer ? a.layer < b.layer : a.index < b.index;
  });
  std::vector<std::vector<std::uint32_t>> chosen(scores.size());
  for (auto at = all.begin(); at != end; ++at) chosen[at->layer].push_back(at->index);
  for (auto& layer : chosen) std::sort(layer.begin(), layer.end());
  return chosen;
}

}  // namespace temblor
