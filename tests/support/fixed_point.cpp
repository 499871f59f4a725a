#include "support/fixed_point.hpp"

#include <cmath>

#include <temblor/base/error.hpp>

namespace temblor::testing {

Network grid_network(Stream& stream, const std::vector<int>& sizes, bool positive, double least) {
  std::string arch;
  for (const int size : sizes) arch += (arch.empty() ? "" : "-") + std::to_string(size);
  Network network = multilayer_perceptron(arch, "relu", false, {}, {{sizes.front()}});
  for (int m = 0; m < network.layers(); ++m) {
    Weights weights = network.weights(m);
    const double scale = 1.5 / std::sqrt(static_cast<double>(weights.weight.cols()));
    for (auto& w : weights.weight.reshaped<Eigen::RowMajor>()) {
      double value = std::min(0.9, scale * std::abs(stream.normal()));
      if (positive && m + 1 < network.layers()) {
        value = std::max(value, least);
      } else if (stream.below(2) == 1) {
        value = -value;
      }
      w = static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(value, weight_bits)), -weight_bits));
    }
    network = network.with(m, std::move(weights));
  }
  return network;
}

Dataset grid_images(Stream& stream, const Network& network, Index images) {
  Dataset data;
  data.name = "grid";
  data.shape = network.input();
  data.classes = network.classes();
  data.scaling = network.scaling();
  data.images.resize(images, network.input().size());
  for (auto& x : data.images.reshaped<Eigen::RowMajor>())
    x = std::ldexp(static_cast<float>(stream.below(1U << image_bits)), -image_bits);
  for (Index n = 0; n < images; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(data.classes))));
    data.index.push_back(n);
  }
  return data;
}

WholeNetwork whole(const Network& network) {
  WholeNetwork layers;
  for (int m = 0; m < network.layers(); ++m) {
    const Matrix& weight = network.weights(m).weight;
    WholeLayer layer{weight.rows(), weight.cols(), {}};
    for (const float w : weight.reshaped<Eigen::RowMajor>())
      layer.weight.push_back(static_cast<std::int64_t>(std::ldexp(static_cast<double>(w), weight_bits)));
    layers.push_back(std::move(layer));
  }
  return layers;
}

std::vector<std::int64_t> whole_image(const Dataset& data, Index n) {
  std::vector<std::int64_t> image;
  for (const float x : data.images.row(n))
    image.push_back(static_cast<std::int64_t>(std::ldexp(static_cast<double>(x), image_bits)));
  return image;
}

int logit_bits(const WholeNetwork& network) {
  return image_bits + weight_bits * static_cast<int>(network.size());
}

namespace {

std::vector<Whole> run(const WholeNetwork& network, const std::vector<std::int64_t>& image,
                       std::size_t layers) {
  std::vector<Whole> z(image.begin(), image.end());
  for (std::size_t m = 0; m < layers; ++m) {
    const auto& layer = network[m];
    std::vector<Whole> p(static_cast<std::size_t>(layer.outputs), 0);
    const std::int64_t* w = layer.weight.data();
    for (auto& sum : p) {
      for (const Whole value : z) sum += *w++ * value;
      if (m + 1 < network.size() && sum < 0) sum = 0;
    }
    z = std::move(p);
  }
  return z;
}

}  // namespace

std::vector<Whole> last_hidden(const WholeNetwork& network, const std::vector<std::int64_t>& image) {
  return run(network, image, network.size() - 1);
}

std::vector<Whole> whole_logits(const WholeNetwork& network, const std::vector<std::int64_t>& image) {
  return run(network, image, network.size());
}

int compare(double value, Whole whole, int bits) {
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // value = fraction 2^exponent
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(fraction, 53));
  const int shift = exponent - 53 + bits;
  ensure(value == 0 || (shift >= 0 && exponent <= 20), "a value that 128 bits hold");
  const Whole left = value == 0 ? 0 : static_cast<Whole>(mantissa) * (static_cast<Whole>(1) << shift);
  return left < whole ? -1 : left > whole ? 1 : 0;
}

}  // namespace temblor::testing
