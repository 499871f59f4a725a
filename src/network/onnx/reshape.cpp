#include "node.hpp"

#include <algorithm>

namespace temblor::onnx_io {
namespace {

using Dims = std::vector<std::int64_t>;

/// A tensor of whole numbers at an input; null where there is none.
const Tensor* whole_input(const ::onnx::NodeProto& node, int input, const Constants& constants) {
  if (input >= node.input_size()) return nullptr;
  const auto found = constants.find(node.input(input));
  return found == constants.end() || found->second.real ? nullptr : &found->second;
}

Dims flattened(const ::onnx::NodeProto& node, const std::string& path, const Dims& dims) {
  const auto axis = integer(node, "axis", 1);
  if (axis != 1 && axis != -static_cast<std::int64_t>(dims.size())) {
    refuse(node, path, "its axis is " + std::to_string(axis), "keep the batch: axis 1");
  }
  return {product(dims)};
}

Dims to_sizes(const ::onnx::NodeProto& node, const std::string& path, const Dims& dims,
              const Constants& constants) {
  const Tensor* wanted = whole_input(node, 1, constants);
  if (wanted == nullptr || wanted->whole.size() < 2) {
    refuse(node, path, "its sizes are no constants, or do not keep the batch", "keep the first size");
  }
  Dims result(wanted->whole.begin() + 1, wanted->whole.end());
  const std::int64_t size = product(dims);
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 0 && i < dims.size()) result[i] = dims[i];
    if (result[i] == -1 && open == nullptr) {
      open = &result[i];
      continue;
    }
    if (result[i] < 1 || result[i] > most_values / known) {
      refuse(node, path, "its sizes do not fit", "export the model again");
    }
    known *= result[i];
  }
  if (open != nullptr) *open = size / known;
  // The batch is what the graph computed from it, the size of an example, or what is left over.
  const auto batch = wanted->whole[0];
  const bool kept = batch == batch_size || batch == 1 || (batch == -1 && open == nullptr);
  if (!kept || product(result) != size) {
    refuse(node, path, "it does not keep the batch and the values of each image", "keep the first size");
  }
  return result;
}

/// Squeeze and Unsqueeze: sizes of 1 taken out or put in.
Dims with_ones(const ::onnx::NodeProto& node, const std::string& path, const Dims& dims,
               const Constants& constants) {
  const bool more = node.op_type() == "Unsqueeze";
  Dims axes;
  if (const Tensor* given = whole_input(node, 1, constants)) {
    axes = given->whole;
  } else if (const auto* found = attribute(node, "axes")) {
    axes.assign(found->ints().begin(), found->ints().end());
  }
  if (axes.empty()) refuse(node, path, "its axes are not said", "name them, the batch not among them");
  const auto rank = static_cast<std::int64_t>(dims.size() + 1 + (more ? axes.size() : 0));
  for (auto& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  if (!more) std::reverse(axes.begin(), axes.end());
  Dims result = dims;
  for (const auto axis : axes) {
    const auto most = static_cast<std::int64_t>(result.size()) + (more ? 1 : 0);
    if (axis < 1 || axis > most || (!more && result[static_cast<std::size_t>(axis - 1)] != 1)) {
      refuse(node, path, "it does not keep the batch and the values of each image", "choose other axes");
    }
    const auto at = result.begin() + (axis - 1);
    if (more) {
      result.insert(at, 1);
    } else {
      result.erase(at);
    }
  }
  return result;
}

}  // namespace

Dims reshaped(const ::onnx::NodeProto& node, const std::string& path, const Dims& dims,
              const Constants& constants) {
  if (node.op_type() == "Flatten") return flattened(node, path, dims);
  if (node.op_type() == "Reshape") return to_sizes(node, path, dims, constants);
  return with_ones(node, path, dims, constants);
}

}  // namespace temblor::onnx_io
