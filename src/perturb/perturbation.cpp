#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>
#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor {
namespace {

/// W^ of one layer in a box, for one image whose layer input is `input`: W + R_ij s_i sgn(z_j), b + r_i s_i.
Weights move_in_box(const Weights& base, const Radius& radius, const float* slack, const Matrix& input) {
  Weights moved_weights = base;
  const Index inputs = base.weight.cols();
  for (Index i = 0; i < base.weight.rows(); ++i) {
    const double s = std::clamp(static_cast<double>(slack[i]), -1.0, 1.0);
    for (Index j = 0; j < inputs; ++j) {
      const double r = radius.weight.size() != 0 ? radius.weight(i, j) : radius.uniform;
      const double delta = input(0, j) < 0.0F ? -r * s : r * s;
      moved_weights.weight(i, j) = moved(base.weight(i, j), delta, r);
    }
    if (base.bias.size() != 0) {
      const double r = radius.bias.size() != 0 ? radius.bias(i) : radius.bias_uniform;
      moved_weights.bias(i) = moved(base.bias(i), r * s, r);
    }
  }
  return moved_weights;
}

/// W^ of one layer in a Frobenius ball: W + radius u z^T / ||z||_2. Every entry is rounded toward the base
/// weight, so that with the scale of ball_scale the ball contains the result exactly.
Weights move_in_ball(const Weights& base, const ThreatSet& set, const float* slack, const Matrix& input) {
  Weights moved_weights = base;
  const bool rows = set.ball == Ball::l2_row;
  const double scale = rows
                           ? ball_scale(set.row, slack, 0, input.data(), input.cols())
                           : ball_scale(set.frobenius, slack, base.weight.rows(), input.data(), input.cols());
  if (scale == 0) return moved_weights;
  for (Index i = 0; i < base.weight.rows(); ++i) {
    for (Index j = 0; j < base.weight.cols(); ++j) {
      const double share = static_cast<double>(slack[i]);
      const double delta =
          scale * (rows ? std::clamp(share, -1.0, 1.0) : share) * static_cast<double>(input(0, j));
      moved_weights.weight(i, j) = moved(base.weight(i, j), delta, std::fabs(delta));
    }
  }
  return moved_weights;
}

template <class Values>
void add_changes(const Values& before, const Values& after, Norms& norms, double& squares) {
  for (Index i = 0; i < before.size(); ++i) {
    const double old = static_cast<double>(before.data()[i]);
    const double now = static_cast<double>(after.data()[i]);
    if (old == now) continue;
    ++norms.changed;
    const double change = std::fabs(now - old);
    const double relative = old == 0 ? std::numeric_limits<double>::infinity() : change / std::fabs(old);
    squares += change * change;
    if (!(change <= norms.linf)) norms.linf = std::isnan(norms.linf) ? norms.linf : change;
    if (!(relative <= norms.relative))
      norms.relative = std::isnan(norms.relative) ? norms.relative : relative;
  }
}

}  // namespace

std::int64_t Perturbation::flipped_bits() const {
  if (const auto* activations = std::get_if<ActivationFaults>(&delta))
    return static_cast<std::int64_t>(activations->bits.size());
  return static_cast<std::int64_t>(faults.size());
}

Matrix SampleDelta::seen(Index sample, const Matrix& image) const {
  return images.size() == 0 ? image : Matrix(images.row(sample));
}

std::vector<std::optional<Weights>> perturbed_weights(const Network& network, const SparseDelta& delta) {
  std::vector<std::optional<Weights>> layers(static_cast<std::size_t>(network.layers()));
  for (const Change& change : delta.changes) {
    auto& layer = layers.at(change.layer);
    if (!layer) layer = network.weights(static_cast<int>(change.layer));
    layer->weight.data()[change.index] = change.after;
  }
  return layers;
}

std::vector<std::optional<Weights>> perturbed_weights(const Network& network, const SampleDelta& delta,
                                                      Index sample, const Matrix& own) {
  ensure(own.rows() == 1, "weights are made for one image");
  if (!delta.changes.empty()) {
    return perturbed_weights(network, delta.changes[static_cast<std::size_t>(sample)]);
  }
  const Matrix image = delta.seen(sample, own);
  std::vector<std::optional<Weights>> layers(static_cast<std::size_t>(network.layers()));
  Activations activations;
  activations.outputs.resize(network.nodes().size());
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Network::Node& node = network.nodes()[i];
    std::vector<const Matrix*> inputs;
    for (const int input : node.inputs) inputs.push_back(&activations.of(input, image));
    const Weights* weights = nullptr;
    if (node.weights >= 0) {
      const auto layer = static_cast<std::size_t>(node.weights);
      const Weights& base = network.weights(node.weights);
      const Matrix& slack = delta.slack[layer];
      weights = &base;
      if (slack.size() != 0) {
        const float* row = slack.row(sample).data();
        const bool ball = delta.set.ball == Ball::l2 || delta.set.ball == Ball::l2_row;
        if (!one_number_a_unit(network, node.weights)) {
          own_weights(network, delta.set, node.weights, row, layers[layer].emplace());
        } else {
          layers[layer] = ball ? move_in_ball(base, delta.set, row, *inputs[0])
                               : move_in_box(base, *delta.set.radius[layer], row, *inputs[0]);
        }
        weights = &*layers[layer];
      }
    }
    node.layer->forward(inputs, weights, activations.outputs[i]);
  }
  return layers;
}

Norms measure(const Network& network, const std::vector<std::optional<Weights>>& layers) {
  Norms norms;
  double squares = 0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    if (!layers[layer]) continue;
    const Weights& before = network.weights(static_cast<int>(layer));
    add_changes(before.weight, layers[layer]->weight, norms, squares);
    add_changes(before.bias, layers[layer]->bias, norms, squares);
  }
  norms.l2 = std::sqrt(squares);
  return norms;
}

Norms measure(const Network& network, const SparseDelta& delta) {
  Norms norms;
  double squares = 0;
  for (const Change& change : delta.changes) {
    const Vector before =
        Vector::Constant(1, network.weights(static_cast<int>(change.layer)).weight.data()[change.index]);
    const Vector after = Vector::Constant(1, change.after);
    add_changes(before, after, norms, squares);
  }
  norms.l2 = std::sqrt(squares);
  return norms;
}

}  // namespace temblor
