#include "support/tiny.hpp"

#include <cmath>

namespace temblor::testing {
namespace {

Real activate(Real p, const std::string& activation) {
  if (activation == "tanh") return std::tanh(p);
  if (activation == "sigmoid") return 1.0L / (1.0L + std::exp(-p));
  return p < 0 ? 0.0L : p;
}

}  // namespace

Tiny tiny(Stream& stream, const TinyOptions& options) {
  std::string arch;
  for (const int size : options.sizes) arch += (arch.empty() ? "" : "-") + std::to_string(size);
  const Shape input{{options.sizes.front()}};
  Network network = multilayer_perceptron(arch, options.activation, options.biases, {}, input);
  for (int m = 0; m < network.layers(); ++m) {
    Weights weights = network.weights(m);
    const double scale = 1.0 / std::sqrt(static_cast<double>(weights.weight.cols()));
    for (auto& w : weights.weight.reshaped<Eigen::RowMajor>())
      w = static_cast<float>(scale * stream.normal());
    for (auto& b : weights.bias) b = static_cast<float>(0.3 * stream.normal());
    network = network.with(m, std::move(weights));
  }
  Dataset data;
  data.name = "tiny";
  data.shape = input;
  data.classes = options.sizes.back();
  data.images.resize(options.images, options.sizes.front());
  for (auto& x : data.images.reshaped<Eigen::RowMajor>()) {
    x = static_cast<float>(options.signed_inputs ? stream.normal() : stream.uniform());
  }
  for (int n = 0; n < options.images; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(data.classes))));
    data.index.push_back(n);
  }
  return {std::move(network), std::move(data)};
}

ReferenceNetwork reference(const Network& network) {
  ReferenceNetwork layers;
  for (int m = 0; m < network.layers(); ++m) {
    const auto& weights = network.weights(m);
    ReferenceLayer layer;
    for (Index i = 0; i < weights.weight.rows(); ++i) {
      layer.weight.emplace_back();
      for (Index j = 0; j < weights.weight.cols(); ++j) layer.weight.back().push_back(weights.weight(i, j));
      layer.bias.push_back(weights.bias.size() > 0 ? weights.bias(i) : 0.0F);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<Real> reference_logits(const ReferenceNetwork& network, const std::vector<Real>& image,
                                   const std::string& activation) {
  std::vector<Real> z = image;
  for (std::size_t m = 0; m < network.size(); ++m) {
    std::vector<Real> p = network[m].bias;
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (std::size_t j = 0; j < z.size(); ++j) p[i] += network[m].weight[i][j] * z[j];
      if (m + 1 < network.size()) p[i] = activate(p[i], activation);
    }
    z = std::move(p);
  }
  return z;
}

std::vector<Real> image_of(const Dataset& data, Index n) {
  std::vector<Real> image;
  for (Index j = 0; j < data.images.cols(); ++j) image.push_back(data.images(n, j));
  return image;
}

std::vector<FreeParameter> free_parameters(const Network& network, const ThreatSet& set) {
  std::vector<FreeParameter> parameters;
  for (std::size_t m = 0; m < set.radius.size(); ++m) {
    if (!set.radius[m]) continue;
    const auto& radius = *set.radius[m];
    const auto& weights = network.weights(static_cast<int>(m));
    for (Index i = 0; i < weights.weight.rows(); ++i) {
      for (Index j = 0; j < weights.weight.cols(); ++j) {
        const double r = radius.weight.size() > 0 ? radius.weight(i, j) : radius.uniform;
        if (r > 0) parameters.push_back({m, static_cast<std::size_t>(i), static_cast<std::size_t>(j), r});
      }
      const double r = radius.bias.size() > 0 ? radius.bias(i) : radius.bias_uniform;
      if (r > 0) {
        parameters.push_back(
            {m, static_cast<std::size_t>(i), static_cast<std::size_t>(weights.weight.cols()), r});
      }
    }
  }
  return parameters;
}

ReferenceNetwork member(const ReferenceNetwork& base, const std::vector<FreeParameter>& parameters,
                        const std::vector<Real>& position) {
  ReferenceNetwork network = base;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const auto& p = parameters[k];
    auto& layer = network[p.layer];
    const Real change = p.radius * position[k];
    if (p.column == layer.weight[p.row].size()) {
      layer.bias[p.row] += change;
    } else {
      layer.weight[p.row][p.column] += change;
    }
  }
  return network;
}

}  // namespace temblor::testing
