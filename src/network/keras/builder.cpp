#include "builder.hpp"

#include <temblor/base/error.hpp>

namespace temblor::keras {
namespace {

constexpr std::int64_t most_values = std::int64_t{1} << 28;  // of one image, anywhere in the network

std::vector<double> reals(const Shape& shape) {
  return {shape.dims.begin(), shape.dims.end()};
}

}  // namespace

Image order_of(const Image& image) {
  return image[2] == 1 || image[0] * image[1] == 1 ? Image{} : image;
}

Index keras_index(const Value& value, Index i) {
  const auto [rows, columns, channels] = value.image;
  if (channels == 0) return i;
  const Index plane = rows * columns;
  return i % plane * channels + i / plane;
}

int Builder::add(const LayerSpec& layer, const std::string& suffix, const std::string& kind,
                 const LayerOptions& options, Weights weights, const std::vector<int>& inputs) {
  const std::string name = suffix.empty() ? layer.name : layer.name + "/" + suffix;
  try {
    const int node = network_.add(make_layer(kind, options), std::move(weights), inputs, name);
    std::int64_t values = 1;
    for (const Index dim : shape(node).dims) {
      if (dim < 1 || dim > most_values / values) {
        layer.settings.refuse("its output is " + shape(node).text() + " values", "save a smaller model");
      }
      values *= dim;
    }
    return node;
  } catch (const Error& error) {
    if (std::string(error.what()).starts_with(layer.settings.title())) throw;
    throw Error(Exit::bad_input, layer.settings.title() + ": " + error.what(), "", "");
  }
}

const Shape& Builder::shape(int node) const {
  return node < 0 ? network_.input() : network_.nodes()[static_cast<std::size_t>(node)].shape;
}

Image Builder::sizes(const Value& value) const {
  const Dims& d = value.dims;
  return channels_last_ ? Image{d[0], d[1], d[2]} : Image{d[1], d[2], d[0]};
}

Value Builder::of_image(int node) const {
  const auto& dims = shape(node).dims;
  if (!channels_last_) return {node, {dims[0], dims[1], dims[2]}, {}};
  return {node, {dims[1], dims[2], dims[0]}, order_of({dims[1], dims[2], dims[0]})};
}

Value Builder::shaped(const LayerSpec& layer, Value value, const Shape& wanted) {
  if (shape(value.node) == wanted) return value;
  value.node = add(layer, "reshape" + std::to_string(added_++), "reshape", {{"shape", reals(wanted)}}, {},
                   {value.node});
  return value;
}

Value Builder::image(const LayerSpec& layer, Value value) {
  if (value.dims.size() != 3) {
    layer.settings.refuse("its input has " + std::to_string(value.dims.size()) + " sizes",
                          "an image has three; give it one, by a Reshape for example");
  }
  const Image image = sizes(value);
  const auto [rows, columns, channels] = image;
  const Shape wanted{{channels, rows, columns}};
  const Image order = channels_last_ ? order_of(image) : Image{};
  if (value.image != order) {
    value = plain(layer, std::move(value));
    if (order != Image{}) {
      value = shaped(layer, std::move(value), {{rows, columns, channels}});
      value.node = add(layer, "transpose" + std::to_string(added_++), "transpose", {{"order", {2, 0, 1}}}, {},
                       {value.node});
      value.image = order;
    }
  }
  return shaped(layer, std::move(value), wanted);
}

Value Builder::plain(const LayerSpec& layer, Value value) {
  if (value.image == Image{}) return value;
  const auto [rows, columns, channels] = value.image;
  value = shaped(layer, std::move(value), {{channels, rows, columns}});
  value.node = add(layer, "transpose" + std::to_string(added_++), "transpose", {{"order", {1, 2, 0}}}, {},
                   {value.node});
  value.image = {};
  return value;
}

Value Builder::flat(const LayerSpec& layer, Value value, bool own) {
  const Index count = shape(value.node).size();
  if (shape(value.node).dims.size() > 1) {
    value.node = add(layer, own ? "" : "flatten" + std::to_string(added_++), "flatten", {}, {}, {value.node});
  }
  value.dims = {count};
  return value;
}

}  // namespace temblor::keras
