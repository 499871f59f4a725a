#include "operators.hpp"

#include <temblor/base/error.hpp>

namespace temblor::onnx_io {
namespace {

/// What goes into a dense layer, where each image is one list of values.
std::int64_t flat_inputs(const Builder& builder, const Node& node) {
  const Dims& dims = builder.value_or_codes(node, 0).dims;
  if (product(dims) != dims.back()) {
    builder.refuse(node, "each image has " + std::to_string(dims.size()) + " sizes before it",
                   "flatten images before dense layers");
  }
  return dims.back();
}

/// [outputs x inputs] of a constant matrix.
Parameters matrix(const Builder& builder, const Node& node, const Tensor& tensor, bool transposed,
                  std::int64_t inputs) {
  const std::size_t along = transposed ? 1 : 0;
  if (!tensor.real || tensor.dims.size() != 2 || tensor.dims[along] != inputs || tensor.dims[1 - along] < 1) {
    builder.refuse(
        node,
        "its matrix is " + sizes_text(tensor.dims) + ", the input has " + std::to_string(inputs) + " values",
        "export the model again");
  }
  const Eigen::Map<const Matrix> values(tensor.values.data(), tensor.dims[0], tensor.dims[1]);
  Parameters parameters{{transposed ? Matrix(values) : Matrix(values.transpose()), {}}};
  if (tensor.coded != nullptr) parameters.coded = transposed ? tensor.coded : tensor.coded->transposed();
  return parameters;
}

void add_dense(Builder& builder, const Node& node, Parameters parameters) {
  const Value value = builder.value(node, 0);
  Dims dims = value.dims;
  dims.back() = parameters.weights.weight.rows();
  add_weighted(builder, node, "dense", {}, std::move(parameters), value.node, dims);
}

}  // namespace

void convert_gemm(Builder& builder, const Node& node) {
  if (builder.value(node, 0).dims.size() != 1) {
    builder.refuse(
        node, "each image has " + std::to_string(builder.value(node, 0).dims.size()) + " sizes before it",
        "flatten images before dense layers");
  }
  const std::int64_t inputs = flat_inputs(builder, node);
  if (integer(node, "transA", 0) != 0) builder.refuse(node, "transA is set", "export rows as images");
  const float alpha = real(node, "alpha", 1);
  const float beta = real(node, "beta", 1);
  Parameters parameters =
      matrix(builder, node, builder.constant(node, 1), integer(node, "transB", 0) != 0, inputs);
  Weights& weights = parameters.weights;
  if (has_input(node, 2)) {
    const auto bias = channel_constant(builder.constant(node, 2), {weights.weight.rows()}, 0);
    if (!bias) builder.refuse(node, "its bias does not fit", "export the model again");
    weights.bias = bias->cast<float>();
  }
  if (alpha != 1 || (beta != 1 && weights.bias.size() != 0)) {
    if (alpha != 1 && parameters.coded != nullptr)
      builder.note(node, "has alpha: its weights are decoded, their codes are not kept");
    if (alpha != 1) parameters.coded = nullptr;
    weights.weight *= alpha;
    weights.bias *= beta;
    builder.note(node, "has alpha and beta: they are folded into weights and bias");
  }
  add_dense(builder, node, std::move(parameters));
}

void convert_matmul(Builder& builder, const Node& node) {
  const std::int64_t inputs = flat_inputs(builder, node);
  add_dense(builder, node, matrix(builder, node, builder.constant(node, 1), false, inputs));
}

void convert_qlinear_matmul(Builder& builder, const Node& node) {
  const Value value = codes_at(builder, node, 0, grid_at(builder, node, 1, 2));
  const std::int64_t inputs = flat_inputs(builder, node);
  const Tensor weights = decoded_at(builder, node, 3, 1);
  Parameters parameters = matrix(builder, node, weights, false, inputs);
  Dims dims = value.dims;
  dims.back() = parameters.weights.weight.rows();
  const Value made = builder.add(node, "dense", {}, {value.node}, std::move(parameters));
  give_codes(builder, node, {made.node, dims}, grid_at(builder, node, 6, 7));
}

}  // namespace temblor::onnx_io
