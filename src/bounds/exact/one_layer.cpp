#include "one_layer.hpp"

#include "image.hpp"
#include "member.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/bounds/interval.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor::exact {

ExactWorst empty_worst(const Network& network, const Dataset& data, const ThreatSet& set) {
  const Index images = data.size();
  ExactWorst result;
  result.values.value = MatrixD::Zero(images, network.classes());
  result.values.attained = result.nodes = result.open = result.values.value;
  result.worst.set = set;
  if (set.input > 0) result.worst.images = data.images;
  result.worst.slack.resize(static_cast<std::size_t>(network.layers()));
  for (const int m : set.layers) {
    Matrix& slack = result.worst.slack[static_cast<std::size_t>(m)];
    slack = Matrix::Zero(images, network.weights(m).weight.rows());
    if (m + 1 < network.layers()) continue;
    // The logits: the label's goes down, all others up.
    slack.setOnes();
    for (Index n = 0; n < images; ++n) slack(n, data.labels[static_cast<std::size_t>(n)]) = -1;
  }
  return result;
}

ExactWorst one_layer(const BoundContext& whole, const Network& network, const Dataset& data,
                     const ThreatSet& set, const EntryBox* entry) {
  ExactWorst result = empty_worst(network, data, set);
  const MatrixD none = result.values.attained;
  result.values = interval_bound(whole);
  result.values.attained = none;
  const Chain chain(network, set.radius);
  const auto& layer = chain.layers.front();
  const Index inputs = layer.weight.cols();
  for (Index n = 0; n < data.size(); ++n) {
    const auto label = data.labels[static_cast<std::size_t>(n)];
    VectorD image = data.images.row(n).transpose().cast<double>();
    if (entry != nullptr) {
      // The least magnitudes in the box: what the weights take off is at least so much.
      const auto lower = entry->exact.lower.row(n).transpose().array();
      const auto upper = entry->exact.upper.row(n).transpose().array();
      image = lower.max(0.0) + upper.min(0.0);
    }
    const Ends ends = inner_ends(data, n, set.input);
    double lowest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < layer.weight.rows(); ++j) {
      if (j == label) continue;
      const VectorD w = layer.weight.row(label) - layer.weight.row(j);
      VectorD r = VectorD::Constant(inputs, 2 * layer.uniform);
      if (layer.radius.size() != 0) r = layer.radius.row(label) + layer.radius.row(j);
      // w x - r |x| is concave: its least value is at an end.
      const auto at = [&](Index k, double x) { return w(k) * x - r(k) * std::abs(x); };
      VectorD seen = image;
      for (Index k = 0; set.input > 0 && k < inputs; ++k) {
        seen(k) = at(k, ends.least(k)) <= at(k, ends.most(k)) ? ends.least(k) : ends.most(k);
      }
      const double slack = layer.slack(label) + layer.slack(j);
      const VectorD sizes = layer.weight.row(label).cwiseAbs() + layer.weight.row(j).cwiseAbs();
      const double drop = w.dot(image - seen) + r.dot(seen.cwiseAbs()) + slack;
      const double size = sizes.dot((image - seen).cwiseAbs()) + r.dot(seen.cwiseAbs()) + slack;
      result.values.attained(n, j) = std::max(0.0, drop - 2 * gamma64(inputs + 8) * size);
      const double margin = w.dot(image) + layer.bias(label) - layer.bias(j) - drop;
      if (margin >= lowest) continue;
      lowest = margin;
      if (set.input > 0) put({seen}, data, n, result.worst);
    }
  }
  return result;
}

}  // namespace temblor::exact
