#include "support/losses.hpp"

#include "support/gradients.hpp"

#include <algorithm>

#include <temblor/train/optimizer.hpp>

namespace temblor::testing {

std::unique_ptr<Loss> loss_of(const std::string& name, const std::map<std::string, std::string>& given) {
  const auto& entry = find_loss(name);
  return entry.make(Params("loss", entry.params, given));
}

Evaluated evaluate(const Loss& loss, const Network& network, const Dataset& data) {
  std::vector<Weights> zeros;
  for (int m = 0; m < network.layers(); ++m) zeros.push_back(network.weights(m));
  Evaluated result{0, zeros_like(zeros)};
  std::vector<Weights*> pointers;
  for (auto& layer : result.gradients) pointers.push_back(&layer);
  Activations scratch;
  const WeightView view = network.view();
  const double share = 1.0 / static_cast<double>(data.size());
  result.loss =
      share * loss.add_gradients(network, view, {data.images, data.labels}, share, scratch, pointers).loss;
  result.loss += loss.penalty(network, view, pointers);
  return result;
}

double worst_gradient(const Loss& loss, const Network& network, const Dataset& data, Index& bends,
                      Index& values) {
  const Evaluated at = evaluate(loss, network, data);
  double worst = 0;
  for (int m = 0; m < network.layers(); ++m) {
    Weights moved = network.weights(m);
    Network changed = network;
    const auto value = [&] {
      changed = network.with(m, moved);
      return evaluate(loss, changed, data).loss;
    };
    const auto& gradient = at.gradients[static_cast<std::size_t>(m)];
    const auto error = [&](float* own, const float* by, Index n) {
      return subgradient_error(value, own, by, n, 0x1p-12F, bends);
    };
    worst = std::max({worst, error(moved.weight.data(), gradient.weight.data(), moved.weight.size()),
                      error(moved.bias.data(), gradient.bias.data(), moved.bias.size())});
    values += moved.weight.size() + moved.bias.size();
  }
  return worst;
}

std::vector<double> beyond_cross_entropy(const Loss& loss, const Network& network, const Dataset& data) {
  const auto natural = loss_of("cross-entropy", {});
  std::vector<double> all;
  for (Index n = 0; n < data.size(); ++n) {
    Dataset one = data;
    one.images = data.images.row(n);
    one.labels = {data.labels[static_cast<std::size_t>(n)]};
    one.index = {0};
    all.push_back(evaluate(loss, network, one).loss - evaluate(*natural, network, one).loss);
  }
  return all;
}

}  // namespace temblor::testing
