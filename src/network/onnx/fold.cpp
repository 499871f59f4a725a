#include "constants.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

namespace temblor::onnx_io {

const Tensor* Constants::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void Constants::store(const std::string& name, Tensor tensor) {
  // Exporters transpose and reshape weights: a few copies of what the file holds.
  room_ += 4 * static_cast<std::int64_t>(tensor.size());
  tensors_[name] = std::move(tensor);
}

void Constants::make(const Node& node, const std::string& path, Tensor tensor) {
  check_room(node, path, tensor.dims);
  room_ -= static_cast<std::int64_t>(tensor.size());
  tensors_[node.output(0)] = std::move(tensor);
}

void Constants::check_room(const Node& node, const std::string& path, const Dims& dims) const {
  Dims sizes;
  for (const auto dim : dims) {
    if (dim != 0) sizes.push_back(dim);
  }
  if (!within(sizes, std::max<std::int64_t>(room_, 1))) {
    refuse(node, path, "it makes a constant of " + sizes_text(dims) + ", far more than the file holds",
           "export the model again, with constants folded");
  }
}

const Tensor& Folding::input(std::size_t i) const {
  if (i >= inputs.size() || inputs[i] == nullptr) refuse("its input " + std::to_string(i) + " is missing");
  return *inputs[i];
}

Dims Folding::wholes(std::size_t i, const std::string& attribute_name) const {
  if (i < inputs.size() && inputs[i] != nullptr) {
    if (inputs[i]->real) refuse("its input " + std::to_string(i) + " is not whole");
    return inputs[i]->whole;
  }
  return integers(node, attribute_name, {});
}

void Folding::refuse(const std::string& why) const {
  onnx_io::refuse(node, path, why, "export the model again, with constants folded");
}

namespace {

Tensor fold_constant(const Folding& folding) {
  const Node& node = folding.node;
  const std::string where = title(node) + " in '" + folding.path + "'";
  if (const auto* value = attribute(node, "value")) {
    return read_tensor(value->t(), std::filesystem::path(folding.path).parent_path().string(), where);
  }
  Tensor tensor;
  if (const auto* one = attribute(node, "value_float")) {
    tensor.values = {one->f()};
  } else if (const auto* several = attribute(node, "value_floats")) {
    tensor.values.assign(several->floats().begin(), several->floats().end());
    tensor.dims = {several->floats_size()};
  } else {
    tensor.real = false;
    tensor.type = ::onnx::TensorProto::INT64;
    if (const auto* whole = attribute(node, "value_int")) {
      tensor.whole = {whole->i()};
    } else if (const auto* wholes = attribute(node, "value_ints")) {
      tensor.whole.assign(wholes->ints().begin(), wholes->ints().end());
      tensor.dims = {wholes->ints_size()};
    } else {
      refuse(node, folding.path, "it has no tensor and no numbers", "write its value as a tensor");
    }
  }
  return tensor;
}

Tensor fold_identity(const Folding& folding) {
  return folding.input(0);
}

struct Entry {
  std::string op;
  Tensor (*compute)(const Folding&);
};

/// Operators that are computed where all inputs are constants.
const std::vector<Entry>& table() {
  static const std::vector<Entry> entries = {
      {"Add", fold_binary},
      {"Cast", fold_cast},
      {"Concat", fold_concat},
      {"Constant", fold_constant},
      {"ConstantOfShape", fold_constant_of_shape},
      {"DequantizeLinear", fold_dequantize},
      {"Div", fold_binary},
      {"Expand", fold_expand},
      {"Gather", fold_gather},
      {"Identity", fold_identity},
      {"Mul", fold_binary},
      {"QuantizeLinear", fold_quantize},
      {"Range", fold_range},
      {"Reshape", fold_reshape},
      {"Shape", fold_shape},
      {"Slice", fold_slice},
      {"Sqrt", fold_sqrt},
      {"Squeeze", fold_squeeze},
      {"Sub", fold_binary},
      {"Transpose", fold_transpose},
      {"Unsqueeze", fold_squeeze},
  };
  return entries;
}

}  // namespace

bool fold(const Node& node, const std::string& path, Constants& constants) {
  if (node.output_size() != 1) return false;
  const auto entry = std::find_if(table().begin(), table().end(),
                                  [&](const Entry& one) { return one.op == node.op_type(); });
  if (entry == table().end()) return false;
  Folding folding{node, path, constants, {}};
  for (const auto& name : node.input()) {
    const Tensor* tensor = name.empty() ? nullptr : constants.find(name);
    if (tensor == nullptr && !name.empty()) return false;
    folding.inputs.push_back(tensor);
  }
  constants.make(node, path, entry->compute(folding));
  return true;
}

std::vector<std::string> foldable_operators() {
  std::vector<std::string> names;
  for (const Entry& entry : table()) names.push_back(entry.op);
  return names;
}

}  // namespace temblor::onnx_io
