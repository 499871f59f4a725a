#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/perturb/project.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor {
namespace {

/// One term of a dense layer's sum, in the arithmetic of PackedDense.
inline float add_product(float sum, float z, float weight) {
#if defined(__AVX2__) && defined(__FMA__)
  return std::fma(z, weight, sum);
#else
  return sum + z * weight;
#endif
}

}  // namespace

bool one_number_a_unit(const Network& network, int layer) {
  return network.nodes()[static_cast<std::size_t>(network.node_of(layer))].layer->kind() == "dense";
}

Index slack_size(const Network& network, const ThreatSet& set, int layer) {
  const Weights& base = network.weights(layer);
  if (one_number_a_unit(network, layer)) return base.weight.rows();
  const bool ball = set.ball == Ball::l2 || set.ball == Ball::l2_row;
  return base.weight.size() + (ball ? 0 : base.bias.size());
}

void own_weights(const Network& network, const ThreatSet& set, int layer, const float* slack, Weights& to) {
  const Weights& base = network.weights(layer);
  to = base;
  const Index count = base.weight.size();
  const float* weight = base.weight.data();
  float* after = to.weight.data();
  if (set.ball == Ball::l2 || set.ball == Ball::l2_row) {
    const bool rows = set.ball == Ball::l2_row;
    const Index group = rows ? base.weight.cols() : count;
    for (Index first = 0; first < count; first += group) {
      const double size = Eigen::Map<const Vector>(slack + first, group).cast<double>().norm();
      const double scale = (rows ? set.row : set.frobenius) * (1 - 1e-12) / std::max(1.0, size);
      for (Index i = first; i < first + group; ++i) {
        const double delta = scale * static_cast<double>(slack[i]);
        after[i] = moved(weight[i], delta, std::fabs(delta));
      }
    }
    return;
  }
  const Radius& box = *set.radius[static_cast<std::size_t>(layer)];
  const auto share = [&](Index i) { return std::clamp(static_cast<double>(slack[i]), -1.0, 1.0); };
  for (Index i = 0; i < count; ++i) {
    const double r = box.weight.size() != 0 ? box.weight.data()[i] : box.uniform;
    after[i] = moved(weight[i], r * share(i), r);
  }
  for (Index i = 0; i < base.bias.size(); ++i) {
    const double r = box.bias.size() != 0 ? box.bias[i] : box.bias_uniform;
    to.bias[i] = moved(base.bias[i], r * share(count + i), r);
  }
}

double ball_scale(double radius, const float* u, Index units, const float* z, Index inputs) {
  const double length = Eigen::Map<const Vector>(z, inputs).cast<double>().norm();
  const double size = Eigen::Map<const Vector>(u, units).cast<double>().norm();
  return length == 0 ? 0.0 : radius * (1 - 1e-12) / (length * std::max(1.0, size));
}

std::pair<Matrix, Matrix> image_ends(const Dataset& data, Index first, Index count, double radius) {
  std::pair<Matrix, Matrix> ends{data.images.middleRows(first, count), data.images.middleRows(first, count)};
  for (Index i = 0; i < ends.first.size(); ++i) {
    float& low = ends.first.data()[i];
    float& high = ends.second.data()[i];
    low = moved(low, -radius, radius);
    high = moved(high, radius, radius);
    if (data.least.size() == 0) continue;
    low = std::max(low, data.least[i % data.least.size()]);
    high = std::min(high, data.most[i % data.most.size()]);
  }
  return ends;
}

SampleForward::SampleForward(const Network& network, const SampleDelta& delta)
    : network_(&network), delta_(&delta), layers_(static_cast<std::size_t>(network.layers())) {
  for (const Network::Node& node : network.nodes()) {
    if (node.weights < 0) continue;
    const auto m = static_cast<std::size_t>(node.weights);
    const Weights& base = network.weights(node.weights);
    if (!one_number_a_unit(network, node.weights)) continue;
    if (delta.slack[m].size() == 0) {
      layers_[m].constant.pack(base.weight, base.bias);
      continue;
    }
    layers_[m].columns = base.weight.transpose();
    const bool ball = delta.set.ball == Ball::l2 || delta.set.ball == Ball::l2_row;
    if (!ball && delta.set.radius[m]->weight.size() != 0)
      layers_[m].radius = delta.set.radius[m]->weight.transpose();
  }
}

void SampleForward::run_dense(int layer, Index sample, const Matrix& input, Matrix& out,
                              Buffers& buffers) const {
  const auto m = static_cast<std::size_t>(layer);
  const Weights& base = network_->weights(layer);
  const Matrix& columns = layers_[m].columns;
  const Index units = columns.cols();
  const auto size = static_cast<std::size_t>(units);
  const float* slack = delta_->slack[m].row(sample).data();
  const bool rows = delta_->set.ball == Ball::l2_row;
  const bool ball = rows || delta_->set.ball == Ball::l2;
  buffers.shift.resize(size);
  buffers.delta.resize(size);
  buffers.radius.resize(size);
  buffers.moved.resize(size);
  double* shift = buffers.shift.data();  // boxes: s_i; ball: scale u_i
  double* delta = buffers.delta.data();
  double* radius = buffers.radius.data();
  float* moved_column = buffers.moved.data();
  float* sum = out.data();
  double scale = 0;
  if (rows) {
    scale = ball_scale(delta_->set.row, slack, 0, input.data(), input.cols());
  } else if (ball) {
    scale = ball_scale(delta_->set.frobenius, slack, units, input.data(), input.cols());
  }
  for (Index i = 0; i < units; ++i) {
    const double s = static_cast<double>(slack[i]);
    shift[i] = ball && !rows ? scale * s : std::clamp(s, -1.0, 1.0);
    if (rows) shift[i] *= scale;
    sum[i] = base.bias.size() != 0 ? base.bias[i] : 0.0F;
  }
  const Radius* box = ball ? nullptr : &*delta_->set.radius[m];
  if (box != nullptr) {
    std::fill_n(radius, units, box->uniform);
    for (Index i = 0; i < base.bias.size(); ++i) {
      const double r = box->bias.size() != 0 ? box->bias(i) : box->bias_uniform;
      sum[i] = moved(sum[i], r * shift[i], r);
    }
  }
  for (Index k = 0; k < columns.rows(); ++k) {
    const float z = input(0, k);
    if (z == 0.0F) continue;
    const float* column = columns.data() + k * units;
    if (ball) {
      for (Index i = 0; i < units; ++i) {
        delta[i] = shift[i] * static_cast<double>(z);
        radius[i] = std::fabs(delta[i]);
      }
      move_many(column, delta, radius, units, moved_column);
    } else {
      const double* own = layers_[m].radius.size() != 0 ? layers_[m].radius.data() + k * units : radius;
      const double sign = z < 0.0F ? -1.0 : 1.0;
      for (Index i = 0; i < units; ++i) delta[i] = sign * own[i] * shift[i];
      move_many(column, delta, own, units, moved_column);
    }
    for (Index i = 0; i < units; ++i) sum[i] = add_product(sum[i], z, moved_column[i]);
  }
}

void SampleForward::run_changed(int layer, Index sample, const Matrix& input, Matrix& out) const {
  const Weights& base = network_->weights(layer);
  const auto& changes = delta_->changes[static_cast<std::size_t>(sample)].changes;
  const auto inputs = static_cast<std::size_t>(base.weight.cols());
  // Sorted by (layer, index): those of one unit follow one another, and its sum is taken again.
  for (auto change = changes.begin(); change != changes.end();) {
    if (change->layer != static_cast<std::uint32_t>(layer)) {
      ++change;
      continue;
    }
    const auto unit = static_cast<Index>(change->index / inputs);
    const float* row = base.weight.row(unit).data();
    float sum = base.bias.size() != 0 ? base.bias[unit] : 0.0F;
    for (std::size_t k = 0; k < inputs; ++k) {
      const bool own = change != changes.end() && change->layer == static_cast<std::uint32_t>(layer) &&
                       change->index == static_cast<std::size_t>(unit) * inputs + k;
      sum = add_product(sum, input(0, static_cast<Index>(k)), own ? change->after : row[k]);
      if (own) ++change;
    }
    out(0, unit) = sum;
  }
}

const Weights& SampleForward::weights_of(int layer, Index sample, Buffers& buffers) const {
  const Weights& base = network_->weights(layer);
  const Matrix& slack = delta_->slack[static_cast<std::size_t>(layer)];
  if (slack.size() != 0) {
    own_weights(*network_, delta_->set, layer, slack.row(sample).data(), buffers.own);
    return buffers.own;
  }
  if (delta_->changes.empty()) return base;
  bool copied = false;
  for (const Change& change : delta_->changes[static_cast<std::size_t>(sample)].changes) {
    if (change.layer != static_cast<std::uint32_t>(layer)) continue;
    if (!copied) buffers.own = base;
    copied = true;
    buffers.own.weight.data()[change.index] = change.after;
  }
  return copied ? buffers.own : base;
}

const Matrix& SampleForward::run(Index sample, const float* image, Buffers& buffers) const {
  const auto& nodes = network_->nodes();
  if (delta_->images.size() != 0) image = delta_->images.row(sample).data();
  buffers.image = Eigen::Map<const Matrix>(image, 1, network_->input().size());
  buffers.activations.outputs.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    std::vector<const Matrix*> inputs;
    for (const int from : node.inputs) inputs.push_back(&buffers.activations.of(from, buffers.image));
    Matrix& out = buffers.activations.outputs[i];
    const auto m = static_cast<std::size_t>(node.weights);
    if (node.weights < 0 || !one_number_a_unit(*network_, node.weights)) {
      node.layer->forward(inputs, node.weights < 0 ? nullptr : &weights_of(node.weights, sample, buffers),
                          out);
      continue;
    }
    out.resize(1, node.shape.size());
    if (delta_->slack[m].size() != 0) {
      run_dense(node.weights, sample, *inputs[0], out, buffers);
    } else {
      layers_[m].constant.multiply({inputs[0]->data(), inputs[0]->cols(), nullptr}, 1, out.data(),
                                   out.cols());
      if (!delta_->changes.empty()) run_changed(node.weights, sample, *inputs[0], out);
    }
  }
  return buffers.activations.outputs.back();
}

}  // namespace temblor
