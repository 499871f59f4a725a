#pragma once

#include "builder.hpp"

namespace temblor::onnx_io {

/// What an operator on values that depend on the image becomes. A new operator is one handler, in the file of
/// its family, and one line of operators.cpp.
struct Operator {
  std::string op;
  std::string help;  ///< which forms of it, or empty
  void (*convert)(Builder&, const Node&);
};

const std::vector<Operator>& operators();
/// "Add, AveragePool, ...", and what is computed from constants.
std::string supported_operators();

// import_dense.cpp
void convert_gemm(Builder& builder, const Node& node);
void convert_matmul(Builder& builder, const Node& node);
// import_conv.cpp
void convert_conv(Builder& builder, const Node& node);
void convert_qlinear_conv(Builder& builder, const Node& node);
void convert_qlinear_matmul(Builder& builder, const Node& node);
// import_codes.cpp
void convert_dequantize_linear(Builder& builder, const Node& node);
void convert_quantize_linear(Builder& builder, const Node& node);
// import_scale.cpp
void convert_batch_norm(Builder& builder, const Node& node);
void convert_arithmetic(Builder& builder, const Node& node);  ///< Add, Div, Mul, Sub
void convert_sum(Builder& builder, const Node& node);
void convert_neg(Builder& builder, const Node& node);
// import_activation.cpp
void convert_activation(Builder& builder, const Node& node);  ///< Relu, Sigmoid, Tanh, HardSwish
void convert_clip(Builder& builder, const Node& node);
void convert_hard_sigmoid(Builder& builder, const Node& node);
void convert_leaky_relu(Builder& builder, const Node& node);
void convert_softmax(Builder& builder, const Node& node);
void convert_identity(Builder& builder, const Node& node);  ///< Identity, Dropout
// import_pool.cpp
void convert_average_pool(Builder& builder, const Node& node);
void convert_global_average_pool(Builder& builder, const Node& node);
void convert_max_pool(Builder& builder, const Node& node);
void convert_reduce_mean(Builder& builder, const Node& node);
// import_shape.cpp
void convert_concat(Builder& builder, const Node& node);
void convert_cast(Builder& builder, const Node& node);
void convert_gather(Builder& builder, const Node& node);
void convert_pad(Builder& builder, const Node& node);
void convert_reshape(Builder& builder, const Node& node);  ///< Flatten, Reshape, Squeeze, Unsqueeze
void convert_shape(Builder& builder, const Node& node);
void convert_slice(Builder& builder, const Node& node);
void convert_transpose(Builder& builder, const Node& node);

/// A layer with weights (dense: channels along the last size; otherwise along the first), and the nodes
/// behind it that belong to it: sums and products with constants of each channel, and a batch normalisation.
/// Gives the value of the last of them, of the sizes `dims`, empty: those of the layer.
void add_weighted(Builder& builder, const Node& node, const std::string& kind, const LayerOptions& options,
                  Parameters parameters, int input, const Dims& dims = {});

/// The grid of activations that a scale and a zero point (may be missing) at these inputs give.
Grid grid_at(const Builder& builder, const Node& node, int scale, int zero);
/// The value at an input, refused unless it has codes of that grid.
Value codes_at(const Builder& builder, const Node& node, int input, const Grid& grid);
/// Gives a value as codes of a grid: clipped to what the grid can hold, not rounded, which is noted.
void give_codes(Builder& builder, const Node& node, const Value& value, const Grid& grid);
/// The real weights of codes at an input, scale and zero point behind it.
Tensor decoded_at(const Builder& builder, const Node& node, int input, std::int64_t axis);

/// p = factor z + shift, channel by channel.
struct ChannelScale {
  VectorD factor;
  VectorD shift;
};
/// A BatchNormalization of so many channels.
ChannelScale batch_norm(const Builder& builder, const Node& node, Index channels);
/// Add, Div, Mul or Sub of a value of the sizes `dims` and a constant that is the same along all sizes but
/// `axis`; nothing where the node is something else.
std::optional<ChannelScale> channel_scale(const Builder& builder, const Node& node, const Dims& dims,
                                          std::size_t axis);
/// A constant that is the same along all sizes but `axis`, one number a channel; nothing otherwise.
std::optional<VectorD> channel_constant(const Tensor& tensor, const Dims& dims, std::size_t axis);

}  // namespace temblor::onnx_io
