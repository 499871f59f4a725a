#include "channel.hpp"

#include <algorithm>

#include <temblor/base/error.hpp>

namespace temblor::census {
namespace {

/// The only node that reads `node`; -1: none, or several, or one that reads it twice.
int only_reader(const Network& network, int node) {
  int found = -1;
  int readings = 0;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const std::vector<int>& inputs = network.nodes()[i].inputs;
    const auto times = std::count(inputs.begin(), inputs.end(), node);
    if (times == 0) continue;
    readings += static_cast<int>(times);
    found = static_cast<int>(i);
  }
  return readings == 1 ? found : -1;
}

Window window_of(const LayerOptions& options) {
  const auto pair = [&](const char* name) {
    const std::vector<double>& values = options.at(name);
    return std::array<Index, 2>{static_cast<Index>(values[0]), static_cast<Index>(values[1])};
  };
  const std::vector<double>& padding = options.at("padding");
  return {pair("kernel"),
          pair("stride"),
          pair("dilation"),
          {static_cast<Index>(padding[0]), static_cast<Index>(padding[1]), static_cast<Index>(padding[2]),
           static_cast<Index>(padding[3])}};
}

Shape input_of(const Network& network, int node) {
  const int source = network.nodes()[static_cast<std::size_t>(node)].inputs[0];
  return source < 0 ? network.input() : network.nodes()[static_cast<std::size_t>(source)].shape;
}

Index groups_of(const Network& network, int node) {
  return static_cast<Index>(network.nodes()[static_cast<std::size_t>(node)].layer->options().at("groups")[0]);
}

Shape group_shape(const Network& network, int node) {
  Shape shape = input_of(network, node);
  shape.dims[0] /= groups_of(network, node);
  return shape;
}

}  // namespace

ChannelPath::ChannelPath(const Network& network, int conv) : network_(&network), conv_(conv) {
  const auto& nodes = network.nodes();
  const Shape& shape = nodes[static_cast<std::size_t>(conv)].shape;
  const Index channels = shape.dims[0];
  positions_ = shape.size() / channels;
  Shape plane = shape;
  plane.dims[0] = 1;
  bool planes = true;  // the shape is still [channels x rows x columns]
  for (int at = conv;;) {
    const int next = only_reader(network, at);
    if (next < 0) return;
    const Network::Node& node = nodes[static_cast<std::size_t>(next)];
    const std::string_view kind = node.layer->kind();
    std::shared_ptr<const Layer> layer = node.layer;
    std::size_t own = 0;
    if (node.layer->reshapes()) {
      planes = false;
      plane = Shape{{plane.size()}};
    } else if (planes && (kind == "max-pool" || kind == "average-pool" || kind == "global-average-pool")) {
      const Shape inputs[] = {plane};
      if (auto placed = layer->placed(inputs)) layer = std::move(placed);
      plane = layer->output_shape(inputs, nullptr);
    } else if (kind == "add") {
      own = static_cast<std::size_t>(std::find(node.inputs.begin(), node.inputs.end(), at) -
                                     node.inputs.begin());
      // Its other inputs keep their values: each node so far is read by the next one alone.
    } else if (!node.layer->elementwise()) {
      return;
    }
    steps_.push_back({next, std::move(layer), plane.size(), own});
    at = next;
  }
}

const Matrix& ChannelPath::run(Index channel, const std::vector<std::int32_t>& images,
                               const Activations& golden, const Matrix& pixels, Matrix& planes,
                               Matrix& other) const {
  Matrix* here = &planes;
  Matrix* there = &other;
  std::vector<Matrix> sides;
  std::vector<const Matrix*> inputs;
  for (const Step& step : steps_) {
    const Network::Node& node = network_->nodes()[static_cast<std::size_t>(step.node)];
    if (step.layer->reshapes()) continue;
    if (step.layer->elementwise()) {
      step.layer->apply(here->data(), here->size());
      continue;
    }
    inputs.assign(node.inputs.size(), here);
    sides.resize(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (i == step.own) continue;
      const Matrix& all = golden.of(node.inputs[i], pixels);
      sides[i].resize(here->rows(), here->cols());
      for (Index r = 0; r < here->rows(); ++r)
        sides[i].row(r) =
            all.row(images[static_cast<std::size_t>(r)]).segment(channel * here->cols(), here->cols());
      inputs[i] = &sides[i];
    }
    step.layer->forward(inputs, nullptr, *there);
    std::swap(here, there);
  }
  return *here;
}

ChannelConv::ChannelConv(const Network& network, int node)
    : weights_(&network.weights(network.nodes()[static_cast<std::size_t>(node)].weights)),
      groups_(groups_of(network, node)),
      depth_(weights_->weight.cols()),
      sliding_(window_of(network.nodes()[static_cast<std::size_t>(node)].layer->options()),
               group_shape(network, node)) {}

Index ChannelConv::group_offset(Index channel) const {
  const Index group = channel / (weights_->weight.rows() / groups_);
  return group * sliding_.channels() * sliding_.height() * sliding_.width();
}

void ChannelConv::pack(Index channel, const Matrix& kernels, PackedConv& packed) const {
  Weights versions{kernels, Vector()};
  if (weights_->bias.size() != 0) versions.bias = Vector::Constant(kernels.rows(), weights_->bias[channel]);
  packed.pack(sliding_, 1, versions);
}

bool ChannelConv::reads_something(Index channel, Index weight, const float* image) const {
  const Index tap = weight % sliding_.taps();
  const Index columns = sliding_.window().kernel[1];
  const float* plane =
      image + group_offset(channel) + weight / sliding_.taps() * sliding_.height() * sliding_.width();
  for (Index row = 0; row < sliding_.rows(); ++row) {
    const Index y = sliding_.image_row(row, tap / columns);
    if (y < 0 || y >= sliding_.height()) continue;
    for (Index column = 0; column < sliding_.columns(); ++column) {
      const Index x = sliding_.image_column(column, tap % columns);
      if (x >= 0 && x < sliding_.width() && plane[y * sliding_.width() + x] != 0.0F) return true;
    }
  }
  return false;
}

}  // namespace temblor::census
