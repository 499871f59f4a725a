#include "tensor.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/onnx.hpp>

namespace temblor {
namespace {

constexpr int opset = 13;
constexpr int ir_version = 7;  // the first that opset 13 belongs to

void add_tensor(::onnx::GraphProto& graph, const std::string& name, const std::vector<Index>& dims,
                const float* values, Index count) {
  auto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(::onnx::TensorProto::FLOAT);
  for (const Index dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values, static_cast<std::size_t>(count) * sizeof(float));
}

void set_integer(::onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(::onnx::AttributeProto::INT);
  attribute.set_i(value);
}

void set_type(::onnx::ValueInfoProto& info, const std::string& name, const Shape& shape) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const Index dim : shape.dims) type.mutable_shape()->add_dim()->set_dim_value(dim);
}

std::string output_of(int node) {
  return node < 0 ? "image" : "value" + std::to_string(node);
}

void add_flatten(::onnx::GraphProto& graph, const std::string& input, const std::string& output) {
  auto& node = *graph.add_node();
  node.set_op_type("Flatten");
  node.set_name(output);
  node.add_input(input);
  node.add_output(output);
  set_integer(node, "axis", 1);
}

void add_dense(::onnx::GraphProto& graph, const Network& network, int index, const std::string& output) {
  const auto& node = network.nodes()[static_cast<std::size_t>(index)];
  const Weights& weights = network.weights(node.weights);
  std::string input = output_of(node.inputs.front());
  const Shape& shape = node.inputs.front() < 0
                           ? network.input()
                           : network.nodes()[static_cast<std::size_t>(node.inputs.front())].shape;
  if (shape.dims.size() > 1) {
    add_flatten(graph, input, output + ".flat");
    input = output + ".flat";
  }
  add_tensor(graph, output + ".weight", {weights.weight.rows(), weights.weight.cols()}, weights.weight.data(),
             weights.weight.size());
  auto& gemm = *graph.add_node();
  gemm.set_op_type("Gemm");
  gemm.set_name(node.name);
  gemm.add_input(input);
  gemm.add_input(output + ".weight");
  if (weights.bias.size() != 0) {
    add_tensor(graph, output + ".bias", {weights.bias.size()}, weights.bias.data(), weights.bias.size());
    gemm.add_input(output + ".bias");
  }
  gemm.add_output(output);
  set_integer(gemm, "transB", 1);
}

void add_node(::onnx::GraphProto& graph, const Network& network, int index, const std::string& path) {
  const auto& node = network.nodes()[static_cast<std::size_t>(index)];
  const bool last = index + 1 == static_cast<int>(network.nodes().size());
  const std::string output = last ? "logits" : output_of(index);
  const std::string kind(node.layer->kind());
  if (kind == "dense") return add_dense(graph, network, index, output);
  if (kind == "flatten") return add_flatten(graph, output_of(node.inputs.front()), output);
  const std::string op = kind == "relu"      ? "Relu"
                         : kind == "sigmoid" ? "Sigmoid"
                         : kind == "tanh"    ? "Tanh"
                                             : "";
  if (op.empty()) {
    input_error("layer '" + node.name + "' cannot be written to '" + path + "'",
                "a " + kind + " layer has no ONNX form here", "write a network file (.h5)");
  }
  auto& made = *graph.add_node();
  made.set_op_type(op);
  made.set_name(node.name);
  made.add_input(output_of(node.inputs.front()));
  made.add_output(output);
}

void add_property(::onnx::ModelProto& model, const std::string& key, const std::string& value) {
  auto& property = *model.add_metadata_props();
  property.set_key(key);
  property.set_value(value);
}

std::string list_of(const std::vector<double>& values) {
  std::vector<std::string> words;
  for (const double value : values) words.push_back(to_text(value));
  return join(words, ",");
}

}  // namespace

void export_onnx(const Network& network, const std::string& path,
                 const std::vector<std::pair<std::string, std::string>>& properties) {
  for (int layer = 0; layer < network.layers(); ++layer) {
    if (network.codes(layer) == nullptr) continue;
    input_error(
        "cannot write '" + path + "'",
        "layer '" + network.layer_name(layer) + "' holds stored codes, which ONNX files here do not keep",
        "write a network file (.h5)");
  }
  ::onnx::ModelProto model;
  model.set_ir_version(ir_version);
  model.set_producer_name("temblor");
  model.set_producer_version(build_info().version);
  auto& set = *model.add_opset_import();
  set.set_domain("");
  set.set_version(opset);
  auto& graph = *model.mutable_graph();
  graph.set_name("network");
  set_type(*graph.add_input(), "image", network.input());
  set_type(*graph.add_output(), "logits", network.nodes().back().shape);
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i) add_node(graph, network, i, path);
  add_property(model, "temblor.scale", to_text(network.scaling().scale));
  add_property(model, "temblor.mean", list_of(network.scaling().mean));
  add_property(model, "temblor.std", list_of(network.scaling().std));
  for (const auto& [key, value] : properties) add_property(model, "temblor.provenance." + key, value);
  errno = 0;
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out || !model.SerializeToOstream(&out) || !out.flush()) {
    input_error("cannot write '" + path + "'", std::strerror(errno),
                "check the path and the space on the disk");
  }
}

}  // namespace temblor
