#include "support/graphs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor::testing {

float toward(float from, double to, double radius) {
  auto moved = static_cast<float>(to);
  while (std::abs(static_cast<double>(moved) - static_cast<double>(from)) > radius)
    moved = std::nextafter(moved, from);
  return moved;
}

namespace {

/// Logits in exact arithmetic.
Interval enclosed_logits(const Network& network, const MatrixD& images) {
  const std::vector<const Radius*> none(static_cast<std::size_t>(network.layers()));
  return interval_forward(network, network.view(), none, {images, images}).back();
}

double uniform_sign(Stream& stream) {
  return stream.below(2) == 1 ? 1.0 : -1.0;
}

double radius_at(const Radius& radius, Index i, Index j) {
  return radius.weight.size() > 0 ? radius.weight(i, j) : radius.uniform;
}

double bias_radius_at(const Radius& radius, Index i) {
  return radius.bias.size() > 0 ? radius.bias(i) : radius.bias_uniform;
}

}  // namespace

Shape GraphBuilder::before(const std::vector<int>& inputs) const {
  const int node = inputs.empty() ? static_cast<int>(network_.nodes().size()) - 1 : inputs.front();
  return node < 0 ? network_.input() : network_.nodes()[static_cast<std::size_t>(node)].shape;
}

int GraphBuilder::weighted(const std::string& kind, const LayerOptions& options, Index outputs, Index depth,
                           std::vector<int> inputs) {
  Weights weights{Matrix(outputs, depth), Vector(outputs)};
  const double size = 1.3 / std::sqrt(static_cast<double>(depth));
  for (Index i = 0; i < weights.weight.size(); ++i)
    weights.weight.data()[i] = static_cast<float>(size * stream_.normal());
  for (Index i = 0; i < outputs; ++i) weights.bias(i) = static_cast<float>(0.25 * stream_.normal());
  return network_.add(make_layer(kind, options), std::move(weights), std::move(inputs));
}

int GraphBuilder::convolution(Index outputs, const LayerOptions& options, std::vector<int> inputs) {
  const auto groups = options.contains("groups") ? options.at("groups").front() : 1.0;
  const auto& kernel = options.at("kernel");
  const Index depth =
      before(inputs).dims[0] / static_cast<Index>(groups) * static_cast<Index>(kernel[0] * kernel[1]);
  return weighted("conv2d", options, outputs, depth, std::move(inputs));
}

int GraphBuilder::dense(Index outputs, std::vector<int> inputs) {
  const Index depth = before(inputs).size();
  return weighted("dense", {}, outputs, depth, std::move(inputs));
}

int GraphBuilder::scale(std::vector<int> inputs) {
  const Index channels = before(inputs).dims[0];
  return weighted("scale", {}, channels, 1, std::move(inputs));
}

int GraphBuilder::layer(const std::string& kind, const LayerOptions& options, std::vector<int> inputs) {
  return network_.add(make_layer(kind, options), {}, std::move(inputs));
}

const std::vector<std::string>& graph_names() {
  static const std::vector<std::string> names{"pool", "residual", "grouped", "joined", "no dense", "image"};
  return names;
}

Network small_graph(const std::string& name, Stream& stream) {
  GraphBuilder build({{2, 5, 4}}, stream);
  const LayerOptions same{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}};
  const LayerOptions pool{{"kernel", {2, 2}}, {"stride", {2, 2}}};
  if (name == "pool") {
    build.convolution(3, same);
    build.layer("relu");
    build.layer("max-pool", {{"kernel", {2, 2}}, {"stride", {1, 2}}});
    build.convolution(2, {{"kernel", {2, 2}}});
    build.layer("relu");
    build.layer("flatten");
    build.dense(4);
    build.layer("relu");
    build.dense(3);
  } else if (name == "residual") {
    build.convolution(3, same);
    const int z = build.layer("relu");
    build.convolution(3, same);
    build.layer("relu");
    const int p = build.convolution(3, same);
    build.layer("add", {}, {z, p});
    build.layer("relu");
    build.layer("global-average-pool");
    build.layer("flatten");
    build.dense(3);
  } else if (name == "grouped") {
    build.convolution(4, {{"kernel", {3, 2}},
                          {"stride", {2, 1}},
                          {"padding", {1, 0, 2, 1}},
                          {"dilation", {1, 2}},
                          {"groups", {2}}});
    build.scale();
    build.layer("leaky-relu", {{"slope", {0.125}}});
    build.layer("average-pool", pool);
    build.dense(3);
  } else if (name == "joined") {
    const int left = build.convolution(2, {{"kernel", {1, 1}}});
    const int right = build.convolution(1, same, {-1});
    build.layer("concat", {}, {left, right});
    build.layer("clip", {{"low", {0}}, {"high", {0.75}}});
    build.convolution(2, {{"kernel", {2, 2}}, {"stride", {2, 2}}});
    build.layer("leaky-relu");
    build.layer("flatten");
    build.dense(3);
  } else if (name == "no dense") {
    build.convolution(3, same);
    build.layer("relu");
    build.convolution(3, {{"kernel", {1, 1}}});
    build.layer("global-average-pool");
    build.layer("flatten");
  } else {
    ensure(name == "image", "a graph has a name");
    // The image itself comes in again further on, and a hidden value has two readers.
    build.convolution(2, same);
    const int z = build.layer("relu");
    build.layer("add", {{"signs", {1, -1}}}, {z, -1});
    build.layer("max-pool", {{"kernel", {3, 2}}, {"stride", {2, 1}}, {"padding", {1, 0, 1, 1}}});
    build.scale();
    build.layer("relu");
    build.dense(4);
    build.layer("relu");
    build.dense(2);
  }
  return build.network();
}

Dataset graph_images(const Network& network, Index count, bool any_sign, Stream& stream) {
  Dataset data;
  data.name = "random";
  data.select = "all";
  data.shape = network.input();
  data.classes = network.classes();
  data.scaling = network.scaling();
  data.images.resize(count, network.input().size());
  for (Index i = 0; i < data.images.size(); ++i)
    data.images.data()[i] = static_cast<float>(any_sign ? stream.normal() : stream.uniform());
  for (Index n = 0; n < count; ++n) {
    data.labels.push_back(static_cast<std::int32_t>(n % data.classes));
    data.index.push_back(n);
  }
  return data;
}

LayerSet some_layers(const Network& network, Stream& stream) {
  LayerSet layers;
  while (layers.empty()) {
    for (int m = 0; m < network.layers(); ++m)
      if (stream.below(2) == 1) layers.push_back(m);
  }
  return layers;
}

Network box_member(const Network& network, const ThreatSet& set, const std::vector<Weights>& positions) {
  Network moved = network;
  for (std::size_t m = 0; m < positions.size(); ++m) {
    if (!set.radius[m]) continue;
    const auto& radius = *set.radius[m];
    Weights weights = network.weights(static_cast<int>(m));
    for (Index i = 0; i < weights.weight.rows(); ++i) {
      for (Index j = 0; j < weights.weight.cols(); ++j) {
        const double r = radius_at(radius, i, j);
        const float w = weights.weight(i, j);
        weights.weight(i, j) =
            toward(w, static_cast<double>(w) + static_cast<double>(positions[m].weight(i, j)) * r, r);
      }
      if (weights.bias.size() == 0) continue;
      const double r = bias_radius_at(radius, i);
      const float b = weights.bias(i);
      weights.bias(i) = toward(b, static_cast<double>(b) + static_cast<double>(positions[m].bias(i)) * r, r);
    }
    moved = moved.with(static_cast<int>(m), std::move(weights));
  }
  return moved;
}

void note_drops(const Network& network, const Network& moved, const Dataset& data, const MatrixD& images,
                MatrixD& reached) {
  const Interval base = enclosed_logits(network, data.images.cast<double>());
  const Interval logits = enclosed_logits(moved, images);
  for (Index n = 0; n < data.size(); ++n) {
    const Index y = data.labels[static_cast<std::size_t>(n)];
    for (Index j = 0; j < network.classes(); ++j) {
      if (j == y) continue;
      const double drop = base.lower(n, y) - base.upper(n, j) - (logits.upper(n, y) - logits.lower(n, j));
      reached(n, j) = std::max(reached(n, j), drop - 1e-15 * (1 + std::abs(drop)));
    }
  }
}

MatrixD reached_drops(const Network& network, const Dataset& data, const ThreatSet& set, int starts,
                      Stream& stream) {
  const Index classes = network.classes();
  MatrixD reached = MatrixD::Zero(data.size(), classes);
  const MatrixD images = data.images.cast<double>();
  std::vector<Weights> zero;
  for (int m = 0; m < network.layers(); ++m) {
    const auto& own = network.weights(m);
    zero.push_back({Matrix::Zero(own.weight.rows(), own.weight.cols()), Vector::Zero(own.bias.size())});
  }
  const auto note = [&](const Network& moved, const MatrixD& at) {
    note_drops(network, moved, data, at, reached);
  };
  for (int start = 0; start < starts; ++start) {
    MatrixD at = images;
    for (Index i = 0; i < at.size() && set.input > 0; ++i) {
      const double x = at.data()[i];
      at.data()[i] = toward(static_cast<float>(x), x + set.input * uniform_sign(stream), set.input);
    }
    std::vector<Weights> corner = zero;
    for (auto& part : corner) {
      for (Index i = 0; i < part.weight.size(); ++i)
        part.weight.data()[i] = static_cast<float>(uniform_sign(stream));
      for (Index i = 0; i < part.bias.size(); ++i) part.bias(i) = static_cast<float>(uniform_sign(stream));
    }
    note(box_member(network, set, corner), at);
    // From there, or from the centre, along the gradient of one image's pair.
    for (Index n = 0; n < data.size(); ++n) {
      const Index y = data.labels[static_cast<std::size_t>(n)];
      for (Index j = 0; j < classes; ++j) {
        if (j == y) continue;
        std::vector<Weights> position = start == 0 ? zero : corner;
        for (int step = 0; step < 3; ++step) {
          const Network here = box_member(network, set, position);
          Activations activations;
          const Matrix image = at.row(n).cast<float>();
          forward(here, here.view(), image, activations);
          Matrix by = Matrix::Zero(1, classes);
          by(0, y) = 1;
          by(0, j) = -1;
          std::vector<Weights> gradient = zero;
          std::vector<Weights*> pointers;
          for (auto& part : gradient) pointers.push_back(&part);
          backward(here, here.view(), image, activations, by, pointers);
          for (std::size_t m = 0; m < gradient.size(); ++m) {
            position[m].weight = -gradient[m].weight.array().sign();
            position[m].bias = -gradient[m].bias.array().sign();
          }
          note(box_member(network, set, position), at);
        }
      }
    }
  }
  return reached;
}

}  // namespace temblor::testing
