#include "operators.hpp"

#include <algorithm>
#include <array>

#include <temblor/base/error.hpp>

namespace temblor::onnx_io {
namespace {

constexpr std::array<const char*, 4> norm_inputs{"scale", "shift", "mean", "variance"};

bool is_arithmetic(const std::string& op) {
  return op == "Add" || op == "Div" || op == "Mul" || op == "Sub";
}

/// factor and shift of op(value, constant), or of op(constant, value): empty where that is no such form.
std::optional<ChannelScale> form(const std::string& op, const VectorD& constant, bool constant_first) {
  const Index n = constant.size();
  const VectorD one = VectorD::Ones(n);
  if (op == "Add") return ChannelScale{one, constant};
  if (op == "Sub" && constant_first) return ChannelScale{-one, constant};
  if (op == "Sub") return ChannelScale{one, -constant};
  if (op == "Mul") return ChannelScale{constant, VectorD::Zero(n)};
  if (constant_first) return std::nullopt;
  return ChannelScale{constant.cwiseInverse(), VectorD::Zero(n)};
}

/// A scaling folded into the layer before it, and what to say of it.
void fold_into(Weights& weights, const ChannelScale& scale) {
  const Index outputs = weights.weight.rows();
  const VectorD bias =
      weights.bias.size() != 0 ? VectorD(weights.bias.cast<double>()) : VectorD::Zero(outputs);
  weights.weight = (scale.factor.asDiagonal() * weights.weight.cast<double>()).cast<float>();
  weights.bias = (scale.factor.cwiseProduct(bias) + scale.shift).cast<float>();
}

Parameters scale_parameters(const ChannelScale& scale) {
  Parameters parameters;
  parameters.weights.weight = scale.factor.cast<float>();
  if (!scale.shift.isZero(0)) parameters.weights.bias = scale.shift.cast<float>();
  return parameters;
}

/// Codes of a constant stay where the layer's weights are that constant.
void keep_codes(Parameters& parameters, const Tensor& tensor) {
  const Matrix& weight = parameters.weights.weight;
  if (std::equal(tensor.values.begin(), tensor.values.end(), weight.data(), weight.data() + weight.size()))
    parameters.coded = tensor.coded;
}

/// A constant that differs within channels: a scaling of each value.
void add_valuewise(Builder& builder, const Node& node, int at, const Value& value) {
  const Tensor all = builder.repeated(node, at, value.dims);
  const auto n = static_cast<Index>(all.size());
  const VectorD constant = Eigen::Map<const Vector>(all.values.data(), n).cast<double>();
  const auto scale = form(node.op_type(), constant, at == 0);
  if (!scale) builder.refuse(node, "it divides by what depends on the image", "this is not supported");
  Value result{builder.shaped(node, {value.node, {n}}), value.dims};
  result.node = builder.add(node, "scale", {}, {result.node}, scale_parameters(*scale)).node;
  builder.give(node, std::move(result));
}

}  // namespace

std::optional<VectorD> channel_constant(const Tensor& tensor, const Dims& dims, std::size_t axis) {
  // Sizes count from the last; the batch comes before the first of an image.
  if (!tensor.real || tensor.dims.size() > dims.size() + 1) return std::nullopt;
  const std::size_t missing = dims.size() + 1 - tensor.dims.size();
  bool along = false;
  for (std::size_t d = 0; d < tensor.dims.size(); ++d) {
    const bool counts = d + missing == axis + 1 && tensor.dims[d] == dims[axis];
    if (tensor.dims[d] != 1 && !counts) return std::nullopt;
    along = along || counts;
  }
  if (along) return Eigen::Map<const Vector>(tensor.values.data(), dims[axis]).cast<double>();
  return VectorD::Constant(dims[axis], static_cast<double>(tensor.values[0]));
}

std::optional<ChannelScale> channel_scale(const Builder& builder, const Node& node, const Dims& dims,
                                          std::size_t axis) {
  if (!is_arithmetic(node.op_type()) || node.input_size() != 2) return std::nullopt;
  const bool first = builder.find_constant(node, 0) != nullptr;
  const Tensor* tensor = builder.find_constant(node, first ? 0 : 1);
  if (tensor == nullptr) return std::nullopt;
  const auto constant = channel_constant(*tensor, dims, axis);
  return constant ? form(node.op_type(), *constant, first) : std::nullopt;
}

ChannelScale batch_norm(const Builder& builder, const Node& node, Index channels) {
  if (integer(node, "training_mode", 0) != 0)
    builder.refuse(node, "training_mode is set", "export the model for inference");
  std::array<VectorD, 4> parts;
  for (int i = 0; i < 4; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const Tensor& tensor = builder.constant(node, i + 1);
    if (!tensor.real || tensor.size() != static_cast<std::size_t>(channels)) {
      builder.refuse(node,
                     std::string("its ") + norm_inputs[at] + " is " + sizes_text(tensor.dims) +
                         ", the input has " + std::to_string(channels) + " channels",
                     "export the model again");
    }
    parts[at] = Eigen::Map<const Vector>(tensor.values.data(), channels).cast<double>();
  }
  const double epsilon = static_cast<double>(real(node, "epsilon", 1e-5F));
  if (!(parts[3].minCoeff() + epsilon > 0))
    builder.refuse(node, "a variance is not above 0", "export the model again");
  const VectorD factor = parts[0].array() / (parts[3].array() + epsilon).sqrt();
  return {factor, parts[1] - factor.cwiseProduct(parts[2])};
}

void add_weighted(Builder& builder, const Node& node, const std::string& kind, const LayerOptions& options,
                  Parameters parameters, int input, const Dims& dims) {
  const Index channels = parameters.weights.weight.rows();
  // The sizes of a picture, as far as constants behind it are concerned.
  const Dims seen = kind == "dense" ? dims : Dims{channels, 0, 0};
  const std::size_t axis = kind == "dense" ? dims.size() - 1 : 0;
  std::string output = node.output(0);
  while (!builder.model().own()) {
    const int at = builder.model().only_reader(output);
    if (at < 0) break;
    const Node& next = builder.model().graph().node(at);
    const bool norm = next.op_type() == "BatchNormalization" && next.input_size() == 5 &&
                      next.input(0) == output && axis == 0 && !builder.options().keep_batch_norm;
    const auto scale = norm ? batch_norm(builder, next, channels) : channel_scale(builder, next, seen, axis);
    if (!scale) break;
    const bool plain = scale->factor == VectorD::Ones(channels);
    if (!plain && parameters.coded != nullptr) break;
    if (plain && parameters.weights.bias.size() == 0) {
      parameters.weights.bias = scale->shift.cast<float>();
    } else {
      fold_into(parameters.weights, *scale);
      builder.note(next, "is folded into the layer before it");
    }
    builder.skip(at);
    output = next.output(0);
  }
  Value value = builder.add(node, kind, options, {input}, std::move(parameters));
  if (!dims.empty()) value.dims = dims;
  builder.give(output, std::move(value));
}

void convert_batch_norm(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const int input = builder.shaped(node, value);
  const ChannelScale norm = batch_norm(builder, node, value.dims[0]);
  Parameters parameters{{norm.factor.cast<float>(), norm.shift.cast<float>()}};
  keep_codes(parameters, builder.constant(node, 1));
  builder.give(node, builder.add(node, "scale", {}, {input}, std::move(parameters)));
}

void convert_arithmetic(Builder& builder, const Node& node) {
  if (node.input_size() != 2) builder.refuse(node, "it has not two inputs", "export the model again");
  const bool sum = node.op_type() == "Add" || node.op_type() == "Sub";
  if (builder.moves(node, 0) && builder.moves(node, 1)) {
    if (!sum) {
      builder.refuse(node, "both inputs depend on the image",
                     "products and quotients of activations are not supported");
    }
    return convert_sum(builder, node);
  }
  const int moving = builder.moves(node, 0) ? 0 : 1;
  const Value value = builder.value(node, moving);
  builder.constant(node, 1 - moving);
  const auto scale = channel_scale(builder, node, value.dims, 0);
  if (!scale) return add_valuewise(builder, node, 1 - moving, value);
  const int input = builder.shaped(node, value);
  Parameters parameters = scale_parameters(*scale);
  keep_codes(parameters, builder.constant(node, 1 - moving));
  builder.give(node, builder.add(node, "scale", {}, {input}, std::move(parameters)));
}

/// Add, Sub and Sum of values that depend on the image.
void convert_sum(Builder& builder, const Node& node) {
  std::vector<int> inputs;
  const Dims dims = builder.value(node, 0).dims;
  for (int i = 0; i < node.input_size(); ++i) {
    const Value value = builder.value(node, i);
    if (value.dims != dims) {
      builder.refuse(node, "its inputs are " + sizes_text(dims) + " and " + sizes_text(value.dims),
                     "sums of activations need the same sizes");
    }
    inputs.push_back(builder.shaped(node, value));
  }
  if (inputs.size() == 1) return builder.give(node, builder.value(node, 0));
  LayerOptions options;
  if (node.op_type() == "Sub") options["signs"] = {1, -1};
  builder.give(node, builder.add(node, "add", options, std::move(inputs)));
}

void convert_neg(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const int input = builder.shaped(node, value);
  const Index channels = value.dims[0];
  builder.give(node, builder.add(node, "scale", {}, {input},
                                 scale_parameters({-VectorD::Ones(channels), VectorD::Zero(channels)})));
}

}  // namespace temblor::onnx_io
