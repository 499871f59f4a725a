#include "operators.hpp"
#include "window.hpp"

namespace temblor::onnx_io {

namespace {

struct Convolution {
  LayerOptions options;
  Parameters parameters;
  int input;
};

/// All but the bias.
Convolution convolution(Builder& builder, const Node& node, const Value& value, const Tensor& kernel) {
  if (!kernel.real || kernel.dims.size() != 4 || !within(kernel.dims, std::int64_t{1} << 31)) {
    builder.refuse(node, "its kernel is " + sizes_text(kernel.dims),
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
  Convolution made{window_options(builder, node, taps, value.dims), {}, input};
  made.options["groups"] = {static_cast<double>(group)};
  made.parameters.coded = kernel.coded;
  made.parameters.weights.weight =
      Eigen::Map<const Matrix>(kernel.values.data(), kernel.dims[0], product(kernel.dims) / kernel.dims[0]);
  return made;
}

}  // namespace

void convert_conv(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const Tensor& kernel = builder.constant(node, 1);
  Convolution made = convolution(builder, node, value, kernel);
  if (has_input(node, 2)) {
    const Tensor& bias = builder.constant(node, 2);
    if (!bias.real || bias.dims != Dims{kernel.dims[0]})
      builder.refuse(node, "its bias is " + sizes_text(bias.dims), "give one value an output channel");
    made.parameters.weights.bias = Eigen::Map<const Vector>(bias.values.data(), kernel.dims[0]);
  }
  add_weighted(builder, node, "conv2d", made.options, std::move(made.parameters), made.input);
}

void convert_qlinear_conv(Builder& builder, const Node& node) {
  const Grid seen = grid_at(builder, node, 1, 2);
  const Value value = codes_at(builder, node, 0, seen);
  const Tensor kernel = decoded_at(builder, node, 3, 0);
  Convolution made = convolution(builder, node, value, kernel);
  if (has_input(node, 8)) {
    // Whole numbers of input scale times kernel scale.
    const Tensor& bias = builder.constant(node, 8);
    if (bias.real || bias.dims != Dims{kernel.dims[0]})
      builder.refuse(node, "its bias is " + sizes_text(bias.dims), "give one value an output channel");
    const auto& scale = kernel.coded->scale;
    made.parameters.weights.bias.resize(kernel.dims[0]);
    for (std::size_t c = 0; c < bias.whole.size(); ++c) {
      const double unit =
          static_cast<double>(seen.scale) * static_cast<double>(scale[scale.size() > 1 ? c : 0]);
      made.parameters.weights.bias[static_cast<Index>(c)] =
          static_cast<float>(unit * static_cast<double>(bias.whole[c]));
    }
  }
  give_codes(builder, node,
             builder.add(node, "conv2d", made.options, {made.input}, std::move(made.parameters)),
             grid_at(builder, node, 6, 7));
}

}  // namespace temblor::onnx_io
