#include "operators.hpp"
#include "window.hpp"

namespace temblor::onnx_io {

void convert_conv(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const Tensor& kernel = builder.constant(node, 1);
  if (!kernel.real || kernel.dims.size() != 4 || !within(kernel.dims, std::int64_t{1} << 31)) {
    builder.refuse(node, "its kernel '" + node.input(1) + "' is " + sizes_text(kernel.dims),
                   "convolutions of pictures have [output x input channels x rows x columns]");
  }
  const Dims taps{kernel.dims[2], kernel.dims[3]};
  if (integers(node, "kernel_shape", taps) != taps) {
    builder.refuse(node, "kernel_shape differs from its kernel's sizes " + sizes_text(kernel.dims),
                   "export the model again");
  }
  const int input = builder.picture(node, value);
  const auto group = integer(node, "group", 1);
  if (group < 1 || value.dims[0] % group != 0 || kernel.dims[1] != value.dims[0] / group) {
    builder.refuse(node,
                   "its kernel is " + sizes_text(kernel.dims) + " in " + std::to_string(group) +
                       " groups, the input has " + std::to_string(value.dims[0]) + " channels",
                   "export the model again");
  }
  LayerOptions options = window_options(builder, node, taps, value.dims);
  options["groups"] = {static_cast<double>(group)};
  Parameters parameters;
  parameters.coded = kernel.coded;
  parameters.weights.weight =
      Eigen::Map<const Matrix>(kernel.values.data(), kernel.dims[0], product(kernel.dims) / kernel.dims[0]);
  if (has_input(node, 2)) {
    const Tensor& bias = builder.constant(node, 2);
    if (!bias.real || bias.dims != Dims{kernel.dims[0]})
      builder.refuse(node, "its bias is " + sizes_text(bias.dims), "give one value an output channel");
    parameters.weights.bias = Eigen::Map<const Vector>(bias.values.data(), kernel.dims[0]);
  }
  add_weighted(builder, node, "conv2d", options, std::move(parameters), input);
}

}  // namespace temblor::onnx_io
