#pragma once

#include "../../src/network/onnx/tensor.hpp"

#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <support/paths.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/onnx.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

/// An ONNX model built node by node: image "x", logits "y".
class Model {
 public:
  using Sizes = std::vector<std::int64_t>;

  explicit Model(std::vector<std::int64_t> image = {4}, std::int64_t opset = 13) {
    proto.set_ir_version(7);
    auto& set = *proto.add_opset_import();
    set.set_domain("");
    set.set_version(opset);
    input("x", image);
    graph().set_name("g");
    graph().add_output()->set_name("y");
  }
  ::onnx::GraphProto& graph() { return *proto.mutable_graph(); }

  void input(const std::string& name, const std::vector<std::int64_t>& image) {
    auto& info = *graph().add_input();
    info.set_name(name);
    auto& shape = *info.mutable_type()->mutable_tensor_type()->mutable_shape();
    shape.add_dim()->set_dim_param("n");
    for (const auto size : image)
      size > 0 ? shape.add_dim()->set_dim_value(size) : shape.add_dim()->set_dim_param("s");
  }
  ::onnx::TensorProto& real(const std::string& name, const std::vector<std::int64_t>& dims,
                            const std::vector<float>& values) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(::onnx::TensorProto::FLOAT);
    for (const auto dim : dims) tensor.add_dims(dim);
    for (const float value : values) tensor.add_float_data(value);
    return tensor;
  }
  void whole(const std::string& name, const std::vector<std::int64_t>& values, bool scalar = false) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(::onnx::TensorProto::INT64);
    if (!scalar) tensor.add_dims(static_cast<std::int64_t>(values.size()));
    for (const auto value : values) tensor.add_int64_data(value);
  }
  ::onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                          const std::string& output) {
    auto& made = *graph().add_node();
    made.set_op_type(op);
    made.set_name("the " + op);
    for (const auto& one : inputs) made.add_input(one);
    made.add_output(output);
    return made;
  }
  static void integer(::onnx::NodeProto& node, const std::string& name, std::int64_t value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(::onnx::AttributeProto::INT);
    attribute.set_i(value);
  }
  static void number(::onnx::NodeProto& node, const std::string& name, float value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(::onnx::AttributeProto::FLOAT);
    attribute.set_f(value);
  }
  static void integers(::onnx::NodeProto& node, const std::string& name,
                       const std::vector<std::int64_t>& values) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(::onnx::AttributeProto::INTS);
    for (const auto value : values) attribute.add_ints(value);
  }
  static void text(::onnx::NodeProto& node, const std::string& name, const std::string& value) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    attribute.set_type(::onnx::AttributeProto::STRING);
    attribute.set_s(value);
  }
  /// Small whole numbers, INT8, UINT8 or INT32.
  void codes(const std::string& name, const Sizes& dims, const std::vector<int>& values,
             ::onnx::TensorProto::DataType type) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const auto dim : dims) tensor.add_dims(dim);
    for (const int value : values) tensor.add_int32_data(value);
  }
  std::string bytes() const { return proto.SerializeAsString(); }
  OnnxNetwork load(const OnnxOptions& options = {}) const {
    const TemporaryDirectory directory;
    std::ofstream(directory.file("m.onnx"), std::ios::binary) << bytes();
    return import_onnx(directory.file("m.onnx"), options);
  }
  std::string problem() const {
    try {
      load();
    } catch (const Error& error) {
      CHECK(error.code() == Exit::bad_input);
      return error.what();
    }
    return "loaded";
  }

  ::onnx::ModelProto proto;
};

/// Standard normal numbers.
inline std::vector<float> numbers(std::size_t count, int seed) {
  Stream stream(3, {static_cast<std::uint32_t>(seed), 0, 0});
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(stream.normal());
  return values;
}

inline Matrix logits_of(const Network& network, const Matrix& images) {
  return logits(network, network.view(), images);
}

}  // namespace temblor::testing
