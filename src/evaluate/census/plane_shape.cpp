#include "screen.hpp"

#include <algorithm>

namespace temblor::census {
namespace {

Window pool_window(const Layer& pool, const Shape& input) {
  Window window;
  if (pool.kind() == "global-average-pool") {
    window.kernel = {input.dims[1], input.dims[2]};
    return window;
  }
  const LayerOptions options = pool.options();
  const auto take = [&](const char* name, auto& to) {
    const auto found = options.find(name);
    if (found == options.end()) return;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<Index>(found->second[i]);
  };
  take("kernel", window.kernel);
  take("stride", window.stride);
  take("dilation", window.dilation);
  take("padding", window.padding);
  return window;
}

void place_pool(const Layer& pool, const Shape& input, PlaneShape& shape) {
  const Sliding sliding(pool_window(pool, input), input);
  const bool counts_padding = pool.kind() == "average-pool" && pool.options().at("count-padding")[0] != 0;
  shape.units = sliding.positions();
  shape.padded = (shape.units + 7) / 8 * 8;
  shape.cells = sliding.taps();
  shape.position.assign(static_cast<std::size_t>(shape.cells * shape.padded), -1);
  shape.share.assign(static_cast<std::size_t>(shape.padded), 1.0F);
  for (Index u = 0; u < shape.units; ++u) {
    Index found = 0;
    Index any = -1;
    for (Index cell = 0; cell < shape.cells; ++cell) {
      const Index y = sliding.image_row(u / sliding.columns(), cell / sliding.window().kernel[1]);
      const Index x = sliding.image_column(u % sliding.columns(), cell % sliding.window().kernel[1]);
      if (y < 0 || y >= sliding.height() || x < 0 || x >= sliding.width()) continue;
      any = y * sliding.width() + x;
      shape.position[static_cast<std::size_t>(cell * shape.padded + u)] = any;
      ++found;
    }
    if (shape.average) {
      shape.share[static_cast<std::size_t>(u)] =
          1.0F / static_cast<float>(counts_padding ? shape.cells : std::max<Index>(1, found));
      continue;
    }
    // A maximum may read one position twice.
    for (Index cell = 0; cell < shape.cells; ++cell) {
      Index& position = shape.position[static_cast<std::size_t>(cell * shape.padded + u)];
      if (position < 0) position = any;
    }
  }
}

}  // namespace

std::optional<PlaneShape> plane_shape(const Network& network, const ChannelPath& path) {
  PlaneShape shape;
  shape.value = path.conv();
  Shape plane = network.nodes()[static_cast<std::size_t>(path.conv())].shape;
  plane.dims[0] = 1;
  bool pooled = false;
  for (const ChannelPath::Step& step : path.steps()) {
    const std::string_view kind = step.layer->kind();
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(step.node)];
    if (step.layer->reshapes()) continue;
    if (kind == "add") {
      const std::vector<double> signs = step.layer->options().at("signs");
      if (shape.relu || pooled || shape.sums > 0 || node.inputs.size() != 2 ||
          (step.own < signs.size() && signs[step.own] < 0))
        return std::nullopt;
      shape.sums = 1;
      shape.value = step.node;
    } else if (kind == "relu") {
      if (shape.relu || (pooled && shape.average)) return std::nullopt;
      shape.relu = true;  // after a maximum the same as before it
    } else if (kind == "max-pool" || kind == "average-pool" || kind == "global-average-pool") {
      if (pooled) return std::nullopt;
      pooled = true;
      shape.average = kind != "max-pool";
      place_pool(*step.layer, plane, shape);
    } else {
      return std::nullopt;
    }
  }
  if (!pooled) {
    shape.units = path.positions();
    shape.padded = (shape.units + 7) / 8 * 8;
    shape.position.assign(static_cast<std::size_t>(shape.padded), -1);
    for (Index u = 0; u < shape.units; ++u) shape.position[static_cast<std::size_t>(u)] = u;
    shape.share.assign(static_cast<std::size_t>(shape.padded), 1.0F);
  }
  return shape;
}

}  // namespace temblor::census
