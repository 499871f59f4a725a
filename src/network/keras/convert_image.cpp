#include "convert.hpp"

#include <cmath>

#include <temblor/base/text.hpp>

namespace temblor::keras {
namespace {

constexpr std::int64_t most_margin = 4096;  // rows or columns around an image

double number(std::int64_t value) {
  return static_cast<double>(value);
}

}  // namespace

std::array<std::int64_t, 4> Converter::margins(int call, const std::string& key, std::int64_t initial) const {
  const Settings& set = settings(call);
  const auto wrong = [&] {
    set.refuse(
        "its " + key + " is not one number, two, or two pairs, from 0 to " + std::to_string(most_margin),
        "save the model again");
  };
  const auto one = [&](const Json& value) -> std::int64_t {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(most_margin)) {
      wrong();
    }
    return value.get<std::int64_t>();
  };
  const Json* value = set.raw(key);
  if (value == nullptr) return {initial, initial, initial, initial};
  const auto side = [&](const Json& pair) -> std::array<std::int64_t, 2> {
    if (!pair.is_array()) return {one(pair), one(pair)};
    if (pair.size() != 2) wrong();
    return {one(pair[0]), one(pair[1])};
  };
  if (value->is_array() && value->size() != 2) wrong();
  const auto down = side(value->is_array() ? (*value)[0] : *value);
  const auto across = side(value->is_array() ? (*value)[1] : *value);
  return {down[0], across[0], down[1], across[1]};
}

Value Converter::pad(int call) {
  const auto [top, left, bottom, right] = margins(call, "padding", 1);
  const Value value = input_image(call);
  return builder_.of_image(builder_.add(
      layer(call), suffix(call, ""), "pad",
      {{"before", {0, number(top), number(left)}}, {"after", {0, number(bottom), number(right)}}}, {},
      {value.node}));
}

Value Converter::crop(int call) {
  const auto [top, left, bottom, right] = margins(call, "cropping", 0);
  const Value value = input_image(call);
  const auto [rows, columns, channels] = builder_.sizes(value);
  if (top + bottom >= rows || left + right >= columns) {
    settings(call).refuse(
        "nothing is left of an image of " + std::to_string(rows) + " x " + std::to_string(columns),
        "crop less");
  }
  return builder_.of_image(builder_.add(
      layer(call), suffix(call, ""), "slice",
      {{"start", {0, number(top), number(left)}},
       {"count", {number(channels), number(rows - top - bottom), number(columns - left - right)}},
       {"step", {1, 1, 1}}},
      {}, {value.node}));
}

LayerOptions Converter::window(int call, const Image& image, std::array<std::int64_t, 2> kernel,
                               std::array<std::int64_t, 2> stride,
                               std::array<std::int64_t, 2> dilation) const {
  const std::string padding = settings(call).text("padding", "valid");
  std::array<std::int64_t, 2> before{};
  std::array<std::int64_t, 2> after{};
  if (padding == "same") {
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t places = (image[i] + stride[i] - 1) / stride[i];
      const std::int64_t reach = (places - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1;
      const std::int64_t zeros = std::max<std::int64_t>(reach - image[i], 0);
      before[i] = zeros / 2;
      after[i] = zeros - before[i];
    }
  } else if (padding != "valid") {
    settings(call).refuse("its padding is '" + padding + "'", "use 'same' or 'valid'");
  }
  return {{"kernel", {number(kernel[0]), number(kernel[1])}},
          {"stride", {number(stride[0]), number(stride[1])}},
          {"dilation", {number(dilation[0]), number(dilation[1])}},
          {"padding", {number(before[0]), number(before[1]), number(after[0]), number(after[1])}}};
}

Vector Converter::bias(int call, Index count) {
  if (!settings(call).flag("use_bias", true)) return {};
  const Tensor tensor = weights_.read(layer(call), "bias", {static_cast<std::uint64_t>(count)});
  return Eigen::Map<const Vector>(tensor.values.data(), count);
}

Value Converter::dense(int call) {
  const Value& value = input(call);
  if (value.dims.size() != 1) {
    settings(call).refuse("its input has " + std::to_string(value.dims.size()) + " sizes",
                          "flatten images before dense layers");
  }
  if (settings(call).has("lora_rank")) {
    settings(call).refuse("it has a low-rank addition", "merge it into the kernel, then save the model");
  }
  const Index inputs = value.dims[0];
  const Index outputs = settings(call).whole("units", 0);
  if (outputs < 1) settings(call).refuse("it has no units", "save the model again");
  const Tensor kernel = weights_.read(
      layer(call), "kernel", {static_cast<std::uint64_t>(inputs), static_cast<std::uint64_t>(outputs)});
  Weights weights{Matrix(outputs, inputs), bias(call, outputs)};
  const Eigen::Map<const Matrix> stored(kernel.values.data(), inputs, outputs);
  for (Index i = 0; i < inputs; ++i) weights.weight.col(i) = stored.row(keras_index(value, i)).transpose();
  return affine(call, "dense", {}, std::move(weights), value);
}

/// [out channels x (in channels * rows * columns)] of a kernel [rows, columns, in channels, out channels].
static Matrix turned(const Tensor& kernel, Index taps, Index in, Index out) {
  Matrix weight(out, in * taps);
  const Eigen::Map<const Matrix> stored(kernel.values.data(), taps * in, out);
  for (Index c = 0; c < in; ++c) {
    for (Index t = 0; t < taps; ++t) weight.col(c * taps + t) = stored.row(t * in + c).transpose();
  }
  return weight;
}

Value Converter::convolution(int call) {
  const Value value = input_image(call);
  const Settings& set = settings(call);
  const Image image = builder_.sizes(value);
  const auto kernel = set.pair("kernel_size", {1, 1});
  const std::int64_t groups = set.whole("groups", 1);
  const std::int64_t filters = set.whole("filters", 0);
  if (filters < 1 || groups < 1 || image[2] % groups != 0 || filters % groups != 0) {
    set.refuse("its " + std::to_string(filters) + " filters in " + std::to_string(groups) +
                   " groups do not fit " + std::to_string(image[2]) + " channels",
               "save the model again");
  }
  const std::int64_t in = image[2] / groups;
  const auto size = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  const Tensor tensor =
      weights_.read(layer(call), "kernel", {size(kernel[0]), size(kernel[1]), size(in), size(filters)});
  auto options = window(call, image, kernel, set.pair("strides", {1, 1}), set.pair("dilation_rate", {1, 1}));
  options["groups"] = {number(groups)};
  return affine(call, "conv2d", options,
                {turned(tensor, kernel[0] * kernel[1], in, filters), bias(call, filters)}, value);
}

Weights Converter::depthwise_weights(int call, std::int64_t channels, std::array<std::int64_t, 2> kernel) {
  const std::int64_t each = settings(call).whole("depth_multiplier", 1);
  if (each < 1 || each > most_margin)
    settings(call).refuse("its depth_multiplier is impossible", "save the model again");
  const auto size = [](std::int64_t n) { return static_cast<std::uint64_t>(n); };
  // Keras 3 names the kernel of a plain one as all others.
  const bool named = weights_.has(layer(call), "depthwise_kernel");
  const Tensor tensor = weights_.read(layer(call), named ? "depthwise_kernel" : "kernel",
                                      {size(kernel[0]), size(kernel[1]), size(channels), size(each)});
  const Index taps = kernel[0] * kernel[1];
  // [taps x (channels * each)]: output channel * each + k is fed by its channel alone.
  const Eigen::Map<const Matrix> stored(tensor.values.data(), taps, channels * each);
  return {stored.transpose(), {}};
}

Value Converter::depthwise(int call) {
  const Value value = input_image(call);
  const Settings& set = settings(call);
  const Image image = builder_.sizes(value);
  const auto kernel = set.pair("kernel_size", {1, 1});
  Weights weights = depthwise_weights(call, image[2], kernel);
  weights.bias = bias(call, weights.weight.rows());
  auto options = window(call, image, kernel, set.pair("strides", {1, 1}), set.pair("dilation_rate", {1, 1}));
  options["groups"] = {number(image[2])};
  return affine(call, "conv2d", options, std::move(weights), value);
}

Value Converter::separable(int call) {
  const Value value = input_image(call);
  const Settings& set = settings(call);
  const Image image = builder_.sizes(value);
  const auto kernel = set.pair("kernel_size", {1, 1});
  once(call);
  Weights first = depthwise_weights(call, image[2], kernel);
  const Index between = first.weight.rows();
  const std::int64_t filters = set.whole("filters", 0);
  if (filters < 1) set.refuse("it has no filters", "save the model again");
  auto options = window(call, image, kernel, set.pair("strides", {1, 1}), set.pair("dilation_rate", {1, 1}));
  options["groups"] = {number(image[2])};
  const int node = builder_.add(layer(call), "depthwise", "conv2d", options, std::move(first), {value.node});
  const Tensor tensor =
      weights_.read(layer(call), "pointwise_kernel",
                    {1, 1, static_cast<std::uint64_t>(between), static_cast<std::uint64_t>(filters)});
  return affine(call, "conv2d", {{"kernel", {1, 1}}},
                {turned(tensor, 1, between, filters), bias(call, filters)}, {node, value.dims, value.image});
}

Value Converter::pool(int call, const std::string& kind) {
  const Value value = input_image(call);
  const auto kernel = settings(call).pair("pool_size", {2, 2});
  auto options = window(call, builder_.sizes(value), kernel, settings(call).pair("strides", kernel), {1, 1});
  options.erase("dilation");
  return builder_.of_image(builder_.add(layer(call), suffix(call, ""), kind, options, {}, {value.node}));
}

Value Converter::global_average(int call) {
  const Value value = input_image(call);
  return finish_global(
      call, builder_.add(layer(call), suffix(call, ""), "global-average-pool", {}, {}, {value.node}));
}

Value Converter::global_max(int call) {
  const Value value = input_image(call);
  const Image image = builder_.sizes(value);
  return finish_global(call,
                       builder_.add(layer(call), suffix(call, ""), "max-pool",
                                    {{"kernel", {number(image[0]), number(image[1])}}}, {}, {value.node}));
}

Value Converter::finish_global(int call, int node) {
  const std::int64_t channels = builder_.shape(node).size();
  if (!settings(call).flag("keepdims", false)) return builder_.flat(layer(call), {node, {channels}, {}});
  return {node, builder_.channels_last() ? Dims{1, 1, channels} : Dims{channels, 1, 1}, {}};
}

}  // namespace temblor::keras
