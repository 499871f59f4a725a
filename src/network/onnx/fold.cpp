#include "node.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

namespace temblor::onnx_io {
namespace {

std::optional<Tensor> transposed(const ::onnx::NodeProto& node, const Tensor& matrix) {
  if (!matrix.real || matrix.dims.size() != 2) return std::nullopt;
  const auto* order = attribute(node, "perm");
  if (order != nullptr && order->ints_size() == 2 && order->ints(0) == 0) return matrix;
  Tensor result = matrix;
  result.dims = {matrix.dims[1], matrix.dims[0]};
  const auto rows = static_cast<std::size_t>(matrix.dims[0]);
  const auto columns = static_cast<std::size_t>(matrix.dims[1]);
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    result.values[i] = matrix.values[i % rows * columns + i / rows];
  }
  return result;
}

std::optional<Tensor> gathered(const ::onnx::NodeProto& node, const std::string& path, const Tensor& from,
                               const Tensor& at) {
  if (from.real || at.real || at.size() != 1 || from.dims.size() != 1) return std::nullopt;
  std::int64_t index = at.whole[0];
  if (index < 0) index += from.dims[0];
  if (index < 0 || index >= from.dims[0]) {
    refuse(node, path, "its index is out of range", "export the model again");
  }
  Tensor result;
  result.real = false;
  result.dims = at.dims;
  result.whole = {from.whole[static_cast<std::size_t>(index)]};
  return result;
}

std::optional<Tensor> joined(const ::onnx::NodeProto& node, const Constants& constants) {
  Tensor result;
  result.real = false;
  for (const auto& name : node.input()) {
    const Tensor& part = constants.at(name);
    if (part.real || part.dims.size() != 1) return std::nullopt;
    result.whole.insert(result.whole.end(), part.whole.begin(), part.whole.end());
  }
  result.dims = {static_cast<std::int64_t>(result.whole.size())};
  return result;
}

/// A whole number as a list of one, or the reverse.
std::optional<Tensor> of_rank(const Tensor& number, std::vector<std::int64_t> dims) {
  if (number.real || number.size() != 1) return std::nullopt;
  Tensor result = number;
  result.dims = std::move(dims);
  return result;
}

std::optional<Tensor> computed(const ::onnx::NodeProto& node, const std::string& path,
                               const Constants& constants) {
  const auto& op = node.op_type();
  if (op == "Constant") {
    const auto* value = attribute(node, "value");
    if (value == nullptr) refuse(node, path, "it has no tensor", "write its value as a tensor");
    return read_tensor(value->t(), std::filesystem::path(path).parent_path().string(),
                       title(node) + " in '" + path + "'");
  }
  const bool all =
      node.input_size() > 0 && std::all_of(node.input().begin(), node.input().end(),
                                           [&](const auto& name) { return constants.contains(name); });
  if (!all) return std::nullopt;
  const Tensor& first = constants.at(node.input(0));
  if (op == "Identity") return first;
  if (op == "Transpose") return transposed(node, first);
  if (op == "Concat") return joined(node, constants);
  if (op == "Unsqueeze") return of_rank(first, {1});
  if (op == "Squeeze") return of_rank(first, {});
  if (op == "Gather" && node.input_size() == 2) {
    return gathered(node, path, first, constants.at(node.input(1)));
  }
  const bool stays = !first.real && integer(node, "to", 0) == ::onnx::TensorProto::INT64;
  if (op == "Cast" && stays) return first;
  return std::nullopt;
}

}  // namespace

bool fold(const ::onnx::NodeProto& node, const std::string& path, Constants& constants) {
  if (node.output_size() != 1) return false;
  auto result = computed(node, path, constants);
  if (!result) return false;
  constants[node.output(0)] = std::move(*result);
  return true;
}

}  // namespace temblor::onnx_io
