#include "slack.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor::pgd {
namespace {

constexpr float jitter = 0.25F;
constexpr Index most_images = 64;
constexpr Index most_numbers = Index{1} << 20;  ///< of one block, where images have weights of their own

}  // namespace

SlackNetwork::SlackNetwork(const Network& network, const ThreatSet& set)
    : network_(&network),
      chosen_(set.layers),
      reach_(pgd::reach(network, set.layers, set.input > 0)),
      input_(set.input) {
  slots_.assign(network.nodes().size(), -1);
  boxes_ = set.radius;
  boxes_.resize(static_cast<std::size_t>(network.layers()));
  for (const int index : chosen_) {
    Layer layer;
    layer.node = network.node_of(index);
    layer.own = !one_number_a_unit(network, index);
    numbers_.push_back(slack_size(network, set, index));
    slots_[static_cast<std::size_t>(layer.node)] = static_cast<int>(layers_.size());
    if (set.ball == Ball::l2 || set.ball == Ball::l2_row) {
      layer.l2 = set.ball == Ball::l2;
      layer.norm = true;
      layer.radius = static_cast<float>(layer.l2 ? set.frobenius : set.row);
      if (layer.l2) layer.group = numbers_.back();
      if (layer.own) {
        const Matrix& weight = network.weights(index).weight;
        if (!layer.l2) layer.group = weight.cols();
        layer.radii = Matrix::Constant(weight.rows(), weight.cols(), layer.radius);
      }
    } else {
      const Radius& box = *set.radius.at(static_cast<std::size_t>(index));
      const Weights& base = network.weights(index);
      const bool bias = base.bias.size() != 0;
      layer.radius = static_cast<float>(box.uniform);
      layer.bias_radius = bias ? static_cast<float>(box.bias_uniform) : 0.0F;
      layer.one_number = !layer.own && box.weight.size() == 0 && box.bias.size() == 0;
      if (!layer.one_number) {
        layer.radii = Matrix::Constant(base.weight.rows(), base.weight.cols(), layer.radius);
        if (box.weight.size() != 0) layer.radii = box.weight.cast<float>();
        layer.bias_radii =
            Vector::Constant(layer.own ? base.bias.size() : base.weight.rows(), layer.bias_radius);
        if (bias && box.bias.size() != 0) layer.bias_radii = box.bias.cast<float>();
      }
    }
    if (layer.norm) {
      const Matrix& weight = network.weights(index).weight;
      const auto weights = static_cast<double>(layer.l2 ? weight.size() : weight.cols());
      boxes_[static_cast<std::size_t>(index)] =
          Radius{static_cast<double>(layer.radius) / std::sqrt(weights)};
    }
    layers_.push_back(std::move(layer));
  }
}

Index SlackNetwork::block_images() const {
  Index largest = 0;
  for (std::size_t k = 0; k < layers_.size(); ++k) {
    if (layers_[k].own) largest += numbers_[k];
  }
  return largest == 0 ? most_images : std::clamp<Index>(most_numbers / largest, 1, most_images);
}

SlackBlock::SlackBlock(const SlackNetwork& network, const Matrix& images)
    : network_(&network), images_(images), own_images_(images) {
  const auto& nodes = network.network().nodes();
  run_fixed(network.network(), network.reach(), images_, fixed_);
  out_.resize(nodes.size());
  grad_.resize(nodes.size());
  products_.resize(network.layers().size());
  lengths_.resize(network.layers().size());
  for (std::size_t k = 0; k < network.layers().size(); ++k) {
    const auto& layer = network.layers()[k];
    const auto& node = nodes[static_cast<std::size_t>(layer.node)];
    if (layer.own || !network.reach().fixed(node.inputs[0])) continue;
    const Matrix& input = output(node.inputs[0]);
    const Matrix* in = &input;
    node.layer->forward({&in, 1}, &network.network().weights(node.weights), products_[k]);
    lengths(layer, input, lengths_[k]);
  }
}

const Matrix& SlackBlock::output(int node) const {
  if (node < 0) return images_;
  return network_->reach().fixed(node) ? fixed_.of(node, images_) : out_[static_cast<std::size_t>(node)];
}

void SlackBlock::lengths(const SlackNetwork::Layer& layer, const Matrix& input, Matrix& result) const {
  if (layer.norm) {
    result = layer.radius * input.rowwise().norm();
  } else if (layer.one_number) {
    result = (layer.radius * input.cwiseAbs().rowwise().sum()).array() + layer.bias_radius;
  } else {
    result.noalias() = input.cwiseAbs() * layer.radii.transpose();
    result.rowwise() += layer.bias_radii.transpose();
  }
}

/// own_ = W + R s, b + r s
void SlackBlock::set_own(const SlackNetwork::Layer& layer, const Weights& base, const float* slack) {
  const Index rows = base.weight.rows();
  const Index cols = base.weight.cols();
  own_.weight =
      base.weight.array() + layer.radii.array() * Eigen::Map<const Matrix>(slack, rows, cols).array();
  own_.bias = base.bias;
  if (layer.norm || base.bias.size() == 0) return;
  own_.bias.array() +=
      layer.bias_radii.array() * Eigen::Map<const Vector>(slack + rows * cols, base.bias.size()).array();
}

void SlackBlock::forward_own(std::size_t k, const Network::Node& node, const Slack& slack, Matrix& out) {
  const Matrix& input = output(node.inputs[0]);
  const Weights& base = network_->network().weights(node.weights);
  out.resize(input.rows(), node.shape.size());
  Matrix image;
  Matrix result;
  for (Index n = 0; n < input.rows(); ++n) {
    set_own(network_->layers()[k], base, slack[k].row(n).data());
    image = input.row(n);
    const Matrix* in = &image;
    node.layer->forward({&in, 1}, &own_, result);
    out.row(n) = result;
  }
}

void SlackBlock::backward_own(std::size_t k, const Network::Node& node, const Slack& slack, const Matrix& out,
                              const Matrix& grad_out, Matrix* grad_in, Matrix& grad) {
  const SlackNetwork::Layer& layer = network_->layers()[k];
  const Matrix& input = output(node.inputs[0]);
  const Weights& base = network_->network().weights(node.weights);
  const Index weights = base.weight.size();
  grad.resize(input.rows(), slack[k].cols());
  Matrix image, result, above, below;
  for (Index n = 0; n < input.rows(); ++n) {
    set_own(layer, base, slack[k].row(n).data());
    own_grad_.weight.setZero(base.weight.rows(), base.weight.cols());
    own_grad_.bias.setZero(base.bias.size());
    image = input.row(n);
    result = out.row(n);
    above = grad_out.row(n);
    if (grad_in != nullptr) below.setZero(1, image.cols());
    const Matrix* in = &image;
    Matrix* to = grad_in != nullptr ? &below : nullptr;
    node.layer->backward({&in, 1}, result, &own_, above, {&to, 1}, &own_grad_);
    if (grad_in != nullptr) grad_in->row(n) += below;
    float* by_slack = grad.row(n).data();
    Eigen::Map<Matrix>(by_slack, base.weight.rows(), base.weight.cols()) =
        layer.radii.array() * own_grad_.weight.array();
    if (!layer.norm)
      Eigen::Map<Vector>(by_slack + weights, base.bias.size()) =
          layer.bias_radii.array() * own_grad_.bias.array();
  }
}

const Matrix& SlackBlock::forward(const Slack& slack) {
  const Network& network = network_->network();
  const auto& nodes = network.nodes();
  for (std::size_t i = static_cast<std::size_t>(network_->reach().first); i < nodes.size(); ++i) {
    if (!network_->reach().moving[i]) continue;
    const auto& node = nodes[i];
    const Weights* weights = node.weights < 0 ? nullptr : &network.weights(node.weights);
    const int slot = network_->slot(static_cast<int>(i));
    if (slot < 0) {
      std::vector<const Matrix*> inputs;
      for (const int input : node.inputs) inputs.push_back(&output(input));
      node.layer->forward(inputs, weights, out_[i]);
      continue;
    }
    const auto k = static_cast<std::size_t>(slot);
    if (network_->layers()[k].own) {
      forward_own(k, node, slack, out_[i]);
      continue;
    }
    if (network_->reach().fixed(node.inputs[0])) {
      out_[i] = products_[k];
    } else {
      const Matrix* input = &output(node.inputs[0]);
      node.layer->forward({&input, 1}, weights, out_[i]);
      lengths(network_->layers()[k], *input, lengths_[k]);
    }
    if (network_->layers()[k].one_number) {
      out_[i].array() += slack[k].array().colwise() * lengths_[k].col(0).array();
    } else {
      out_[i].array() += slack[k].array() * lengths_[k].array();
    }
  }
  return out_.back();
}

void SlackBlock::add_input_gradient(const SlackNetwork::Layer& layer, const Matrix& input,
                                    const Matrix& lengths, Matrix& by_slack, Matrix& grad_in) {
  // by_slack holds s g. t = R |z| + r gives sgn(z) (R^T s g), with sgn(0) = +1; t = radius ||z|| gives radius
  // z / ||z||.
  if (layer.norm) {
    for (Index n = 0; n < input.rows(); ++n) {
      if (lengths(n, 0) == 0.0F) continue;
      const float factor = layer.radius * layer.radius * by_slack.row(n).sum() / lengths(n, 0);
      grad_in.row(n) += factor * input.row(n);
    }
  } else if (layer.one_number) {
    for (Index n = 0; n < input.rows(); ++n) {
      const float q = layer.radius * by_slack.row(n).sum();
      grad_in.row(n).array() +=
          (input.row(n).array() < 0.0F).select(-q, Eigen::ArrayXXf::Constant(1, input.cols(), q));
    }
  } else {
    scratch_.noalias() = by_slack * layer.radii;
    grad_in.array() += (input.array() < 0.0F).select(-scratch_.array(), scratch_.array());
  }
}

void SlackBlock::draw_slopes(Stream* stream) {
  const Network& network = network_->network();
  if (relaxed_.empty()) {
    std::vector<const Radius*> radius;
    for (const auto& box : network_->boxes()) radius.push_back(box ? &*box : nullptr);
    const MatrixD exact = own_images_.cast<double>();
    const double reach = network_->input();
    const std::vector<Interval> intervals =
        interval_forward(network, network.view(), radius, {exact.array() - reach, exact.array() + reach});
    relaxed_.resize(network.nodes().size());
    for (std::size_t i = 0; i < relaxed_.size(); ++i) {
      const auto& node = network.nodes()[i];
      if (!network_->reach().moving[i] || node.layer->kind() != "relu") continue;
      const Interval& p = intervals[static_cast<std::size_t>(node.inputs[0])];
      const auto up = p.upper.array().max(0.0);
      relaxed_[i] = (up / (up - p.lower.array().min(0.0)).max(1e-300)).cast<float>();
    }
  }
  slopes_ = relaxed_;
  if (stream == nullptr) return;
  for (Matrix& slopes : slopes_) {
    for (float& slope : slopes.reshaped<Eigen::RowMajor>()) {
      if (slope <= 0.0F || slope >= 1.0F) continue;
      slope = std::clamp(slope + jitter * static_cast<float>(stream->normal()), 0.0F, 1.0F);
    }
  }
}

void SlackBlock::backward(const Slack& slack, const Matrix& grad_logits, bool soft, Slack& grad) {
  const Network& network = network_->network();
  const auto& nodes = network.nodes();
  const auto first = static_cast<std::size_t>(network_->reach().first);
  grad.resize(network_->layers().size());
  for (std::size_t i = first; i < nodes.size(); ++i) {
    if (network_->reach().moving[i]) grad_[i].setZero(images(), out_[i].cols());
  }
  if (network_->reach().image_moves) image_gradient_.setZero(images_.rows(), images_.cols());
  grad_.back() = grad_logits;
  Matrix by_slack;
  for (std::size_t i = nodes.size(); i-- > first;) {
    if (!network_->reach().moving[i]) continue;
    const auto& node = nodes[i];
    std::vector<const Matrix*> inputs;
    std::vector<Matrix*> grad_in;
    for (const int input : node.inputs) {
      const bool fixed = network_->reach().fixed(input);
      inputs.push_back(&output(input));
      Matrix* own = input < 0 ? &image_gradient_ : &grad_[static_cast<std::size_t>(std::max(input, 0))];
      grad_in.push_back(fixed ? nullptr : own);
    }
    const Weights* weights = node.weights < 0 ? nullptr : &network.weights(node.weights);
    if (soft && slopes_[i].size() != 0) {
      if (grad_in[0] != nullptr) grad_in[0]->array() += slopes_[i].array() * grad_[i].array();
      continue;
    }
    const int slot = network_->slot(static_cast<int>(i));
    const auto k = static_cast<std::size_t>(std::max(slot, 0));
    if (slot >= 0 && network_->layers()[k].own) {
      backward_own(k, node, slack, out_[i], grad_[i], grad_in[0], grad[k]);
      continue;
    }
    node.layer->backward(inputs, out_[i], weights, grad_[i], grad_in, nullptr);
    if (slot < 0) continue;
    const auto& layer = network_->layers()[k];
    if (layer.one_number) {
      grad[k] = grad_[i].array().colwise() * lengths_[k].col(0).array();
    } else {
      grad[k] = grad_[i].array() * lengths_[k].array();
    }
    if (grad_in[0] == nullptr) continue;
    by_slack = slack[k].array() * grad_[i].array();
    add_input_gradient(layer, *inputs[0], lengths_[k], by_slack, *grad_in[0]);
  }
}

}  // namespace temblor::pgd
