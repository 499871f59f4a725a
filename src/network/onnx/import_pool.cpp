#include "operators.hpp"
#include "window.hpp"

#include <algorithm>

namespace temblor::onnx_io {
namespace {

LayerOptions pool_options(const Builder& builder, const Node& node, const Value& value) {
  const Dims kernel = integers(node, "kernel_shape", {});
  if (kernel.size() != 2) {
    builder.refuse(node, "kernel_shape has " + std::to_string(kernel.size()) + " values",
                   "pooling works on rows and columns of pictures");
  }
  return window_options(builder, node, kernel, value.dims);
}

Value add_pool(Builder& builder, const Node& node, const std::string& kind, const LayerOptions& options,
               int input) {
  Value value = builder.add(node, kind, options, {input});
  const auto& kernel = options.at("kernel");
  builder.charge(node, {value.dims[1], value.dims[2], static_cast<std::int64_t>(kernel[0]),
                        static_cast<std::int64_t>(kernel[1])});
  return value;
}

}  // namespace

void convert_max_pool(Builder& builder, const Node& node) {
  const Value value = builder.value_or_codes(node, 0);
  const int input = builder.picture(node, value);
  Value result = add_pool(builder, node, "max-pool", pool_options(builder, node, value), input);
  result.grid = value.grid;
  builder.give(node, std::move(result));
}

void convert_average_pool(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const int input = builder.picture(node, value);
  LayerOptions options = pool_options(builder, node, value);
  if (options.at("dilation") != std::vector<double>{1, 1})
    builder.refuse(node, "it has dilations", "average without them");
  options.erase("dilation");
  const bool counted = integer(node, "count_include_pad", 0) != 0;
  if (counted && sticks_out(node, options)) {
    builder.refuse(node, "ceil_mode adds windows that stick out, and count_include_pad counts padding",
                   "exporters disagree on their mean: set one of both to 0");
  }
  options["count-padding"] = {counted ? 1.0 : 0.0};
  builder.give(node, add_pool(builder, node, "average-pool", options, input));
}

void convert_global_average_pool(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const int input = builder.picture(node, value);
  builder.charge(node, {value.dims[1], value.dims[2]});
  builder.give(node, builder.add(node, "global-average-pool", {}, {input}));
}

void convert_reduce_mean(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  Dims axes = builder.wholes(node, 1, "axes");
  for (auto& axis : axes) axis += axis < 0 ? static_cast<std::int64_t>(value.dims.size()) + 1 : 0;
  std::sort(axes.begin(), axes.end());
  if (value.dims.size() != 3 || axes != Dims{2, 3})
    builder.refuse(node, "it is not the mean over rows and columns",
                   "average channels of pictures: axes 2, 3");
  const int input = builder.picture(node, value);
  builder.charge(node, {value.dims[1], value.dims[2]});
  Value mean = builder.add(node, "global-average-pool", {}, {input});
  if (integer(node, "keepdims", 1) == 0) mean.dims = {value.dims[0]};
  builder.give(node, std::move(mean));
}

}  // namespace temblor::onnx_io
