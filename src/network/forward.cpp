#include <algorithm>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/network/network.hpp>
#include <temblor/network/pass_back.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {
namespace {

std::vector<const Matrix*> inputs_of(const Network::Node& node, const Matrix& images,
                                     const Activations& activations) {
  std::vector<const Matrix*> inputs;
  for (const int input : node.inputs) inputs.push_back(&activations.of(input, images));
  return inputs;
}

const Weights* weights_of(const Network::Node& node, const WeightView& weights) {
  return node.weights < 0 ? nullptr : weights[static_cast<std::size_t>(node.weights)];
}

/// The gradient of a sum of terms that all have the sign 1 is that of each term.
bool hand_on_sum(const Network::Node& node, std::size_t i, const std::vector<bool>& needed,
                 std::vector<Matrix>& grad) {
  const auto options = node.layer->options();
  const auto& signs = options.at("signs");
  if (std::any_of(signs.begin(), signs.end(), [](double sign) { return sign != 1; })) return false;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const int input = node.inputs[k];
    if (input < 0 || !needed[static_cast<std::size_t>(input)]) continue;
    Matrix& below = grad[static_cast<std::size_t>(input)];
    if (below.size() != 0) {
      below += grad[i];
    } else if (k + 1 == node.inputs.size()) {
      below.swap(grad[i]);
    } else {
      below = grad[i];
    }
  }
  return true;
}

/// Backward through a node whose one input has no gradient yet, without a sum. False where that cannot be.
bool hand_on(const Network::Node& node, const Matrix& images, const Activations& activations, std::size_t i,
             const WeightView& weights, const std::vector<bool>& needed, std::vector<Matrix>& grad,
             Weights* grad_weights) {
  if (node.layer->kind() == "add") return hand_on_sum(node, i, needed, grad);
  const int input = node.inputs[0];
  if (node.inputs.size() != 1 || input < 0 || !needed[static_cast<std::size_t>(input)] ||
      grad[static_cast<std::size_t>(input)].size() != 0)
    return false;
  if (!node.layer->reshapes()) {
    const auto* layer = dynamic_cast<const PassesBack*>(node.layer.get());
    if (layer == nullptr) return false;
    layer->pass_back(inputs_of(node, images, activations), activations.outputs[i], weights_of(node, weights),
                     grad[i], grad_weights);
  }
  grad[static_cast<std::size_t>(input)].swap(grad[i]);
  return true;
}

}  // namespace

void forward(const Network& network, const WeightView& weights, const Matrix& images,
             Activations& activations, int first) {
  const auto& nodes = network.nodes();
  activations.outputs.resize(nodes.size());
  for (std::size_t i = static_cast<std::size_t>(first); i < nodes.size(); ++i) {
    nodes[i].layer->forward(inputs_of(nodes[i], images, activations), weights_of(nodes[i], weights),
                            activations.outputs[i]);
  }
}

Matrix logits(const Network& network, const WeightView& weights, const Matrix& images, bool threads) {
  Matrix result(images.rows(), network.classes());
  const std::vector<PackedDense> packed = pack_dense(network, weights);
  std::vector<const PackedDense*> pointers;
  for (const PackedDense& layer : packed) pointers.push_back(&layer);
  const auto run = [&](Index begin, Index end) {
    BlockRunner runner(network);
    runner.use(weights, pointers);
    for (Index row = begin; row < end; row += runner.rows()) {
      const Index count = std::min(runner.rows(), end - row);
      const RowsView values = runner.run({&images, row, count});
      for (Index r = 0; r < count; ++r) std::copy_n(values.row(r), result.cols(), &result(row + r, 0));
    }
  };
  if (threads) {
    tbb::parallel_for(tbb::blocked_range<Index>(0, images.rows(), BlockRunner::block),
                      [&](const tbb::blocked_range<Index>& range) { run(range.begin(), range.end()); });
  } else {
    run(0, images.rows());
  }
  return result;
}

void backward(const Network& network, const WeightView& weights, const Matrix& images,
              const Activations& activations, const Matrix& grad_logits, std::span<Weights* const> grads) {
  std::vector<Matrix> grad_outputs(network.nodes().size());
  grad_outputs.back() = grad_logits;
  backward(network, weights, images, activations, std::move(grad_outputs), grads);
}

void backward(const Network& network, const WeightView& weights, const Matrix& images,
              const Activations& activations, std::vector<Matrix> grad, std::span<Weights* const> grads) {
  const auto& nodes = network.nodes();
  ensure(grad.size() == nodes.size(), "one gradient a node");
  // A node needs its output's gradient when it or anything before it on the way has wanted parameters.
  std::vector<bool> needed(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    needed[i] = node.weights >= 0 && grads[static_cast<std::size_t>(node.weights)] != nullptr;
    for (const int input : node.inputs)
      needed[i] = needed[i] || (input >= 0 && needed[static_cast<std::size_t>(input)]);
  }
  for (std::size_t i = nodes.size(); i-- > 0;) {
    const Network::Node& node = nodes[i];
    if (!needed[i] || grad[i].size() == 0) continue;
    Weights* grad_weights = node.weights < 0 ? nullptr : grads[static_cast<std::size_t>(node.weights)];
    if (hand_on(node, images, activations, i, weights, needed, grad, grad_weights)) continue;
    std::vector<Matrix*> grad_in;
    for (const int input : node.inputs) {
      if (input < 0 || !needed[static_cast<std::size_t>(input)]) {
        grad_in.push_back(nullptr);
        continue;
      }
      Matrix& below = grad[static_cast<std::size_t>(input)];
      if (below.size() == 0) {
        const Matrix& output = activations.of(input, images);
        below = Matrix::Zero(output.rows(), output.cols());
      }
      grad_in.push_back(&below);
    }
    node.layer->backward(inputs_of(node, images, activations), activations.outputs[i],
                         weights_of(node, weights), grad[i], grad_in, grad_weights);
    grad[i].resize(0, 0);  // the next one finds its memory, still in cache
  }
}

}  // namespace temblor
