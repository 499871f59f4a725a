#include <temblor/bounds/taps.hpp>
#include <temblor/network/window.hpp>

namespace temblor {
namespace {

struct Geometry {
  Window window;
  Shape input;
  Index groups = 1;
};

Geometry geometry_of(const Layer& layer, const Shape& input) {
  Geometry geometry;
  if (layer.kind() == "scale") {
    const Index channels = input.dims.front();
    geometry.input = {{channels, 1, input.size() / channels}};
    geometry.groups = channels;
    return geometry;
  }
  const LayerOptions options = layer.options();
  const auto take = [&](const char* name, auto& to) {
    const auto& values = options.at(name);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<Index>(values.at(i));
  };
  take("kernel", geometry.window.kernel);
  take("stride", geometry.window.stride);
  take("dilation", geometry.window.dilation);
  take("padding", geometry.window.padding);
  geometry.input = input;
  geometry.groups = static_cast<Index>(options.at("groups").front());
  return geometry;
}

}  // namespace

bool shares_kernel(const Layer& layer) {
  return layer.kind() == "conv2d" || layer.kind() == "scale";
}

Taps::Taps(const Network::Node& node, const Shape& shape, Index columns) : depth(columns) {
  const Geometry geometry = geometry_of(*node.layer, shape);
  const Sliding sliding(geometry.window, geometry.input);
  groups = geometry.groups;
  positions = sliding.positions();
  const Index channels = sliding.channels() / groups;
  plane = channels * sliding.height() * sliding.width();
  // Padding is 0 in an image whose values count from 1.
  std::vector<double> numbers(static_cast<std::size_t>(plane));
  for (Index i = 0; i < plane; ++i) numbers[static_cast<std::size_t>(i)] = static_cast<double>(i + 1);
  std::vector<double> seen(static_cast<std::size_t>(positions * depth));
  sliding.unfold(numbers.data(), 0, channels, seen.data());
  input.reserve(seen.size());
  for (const double number : seen) input.push_back(static_cast<std::int32_t>(number) - 1);
}

void Taps::gather(const double* values, MatrixD& seen) const {
  seen.resize(positions, depth);
  for (std::size_t i = 0; i < input.size(); ++i) seen.data()[i] = input[i] < 0 ? 0 : values[input[i]];
}

}  // namespace temblor
