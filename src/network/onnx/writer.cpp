#include "writer.hpp"

#include <temblor/base/error.hpp>
#include <temblor/formats/format.hpp>

namespace temblor::onnx_io {

std::string Writer::value(int index) const {
  if (index < 0) return "image";
  if (index + 1 == static_cast<int>(network_.nodes().size())) return "logits";
  return "value" + std::to_string(index);
}

const Shape& Writer::shape(int index) const {
  return index < 0 ? network_.input() : layer(index).shape;
}

::onnx::NodeProto& Writer::node(const std::string& op, const std::string& name,
                                const std::vector<std::string>& inputs, const std::string& output) {
  auto& made = *graph_.add_node();
  made.set_op_type(op);
  made.set_name(name);
  for (const auto& input : inputs) made.add_input(input);
  made.add_output(output);
  return made;
}

::onnx::TensorProto& Writer::tensor(const std::string& name, const std::vector<Index>& dims) {
  auto& made = *graph_.add_initializer();
  made.set_name(name);
  for (const Index dim : dims) made.add_dims(dim);
  return made;
}

std::string Writer::reals(const std::string& name, const std::vector<Index>& dims, const float* values) {
  auto& made = tensor(name, dims);
  made.set_data_type(::onnx::TensorProto::FLOAT);
  std::size_t count = 1;
  for (const Index dim : dims) count *= static_cast<std::size_t>(dim);
  made.set_raw_data(values, count * sizeof(float));
  return name;
}

std::string Writer::wholes(const std::string& name, const std::vector<std::int64_t>& values) {
  auto& made = tensor(name, {static_cast<Index>(values.size())});
  made.set_data_type(::onnx::TensorProto::INT64);
  made.set_raw_data(values.data(), values.size() * sizeof(std::int64_t));
  return name;
}

std::string Writer::bytes(const std::string& name, const std::vector<Index>& dims, const std::string& values,
                          bool negative) {
  auto& made = tensor(name, dims);
  made.set_data_type(negative ? ::onnx::TensorProto::INT8 : ::onnx::TensorProto::UINT8);
  made.set_raw_data(values);
  return name;
}

void Writer::set(::onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void Writer::set(::onnx::NodeProto& node, const std::string& name, float value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
}

void Writer::set(::onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::INTS);
  for (const auto value : values) attribute.add_ints(value);
}

std::string write_weights(Writer& writer, int index, const std::vector<Index>& dims) {
  const auto& layer = writer.layer(index);
  const std::string name = "layer" + std::to_string(index) + ".weight";
  const Encoded* codes = writer.network().codes(layer.weights);
  if (codes == nullptr)
    return writer.reals(name, dims, writer.network().weights(layer.weights).weight.data());
  const Format& format = *codes->format;
  if (!format.scaled || format.bits != 8) {
    input_error("layer '" + layer.name + "' cannot be written as ONNX",
                "it holds stored codes of format " + format.name + ", which ONNX does not have",
                "write a network file (.h5), or store it as int8 or uint8");
  }
  const bool negative = format.order != CodeOrder::offset;
  const std::string raw(codes->codes.begin(), codes->codes.end());
  const bool channels = codes->scale.size() > 1;
  const std::vector<Index> entries =
      channels ? std::vector<Index>{static_cast<Index>(codes->scale.size())} : std::vector<Index>{};
  std::vector<std::string> inputs{writer.bytes(name + ".codes", dims, raw, negative),
                                  writer.reals(name + ".scale", entries, codes->scale.data())};
  // No zero point says that the codes are symmetric.
  if (!codes->zero_point.empty()) {
    std::string zeros;
    for (const auto zero : codes->zero_point) zeros.push_back(static_cast<char>(zero));
    inputs.push_back(writer.bytes(name + ".zero", entries, zeros, negative));
  }
  auto& decoded = writer.node("DequantizeLinear", name, inputs, name);
  if (channels) Writer::set(decoded, "axis", std::int64_t{0});
  return name;
}

}  // namespace temblor::onnx_io
