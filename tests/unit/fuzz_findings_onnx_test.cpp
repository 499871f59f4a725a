#include "../../src/network/onnx/tensor.hpp"

#include <fstream>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/refusal.hpp>

#include <temblor/base/error.hpp>
#include <temblor/network/onnx.hpp>

// What the fuzz target of ONNX models (tests/fuzz/onnx_fuzz.cpp) found, each as a test of its own.

using namespace temblor;
using namespace temblor::testing;

namespace {

/// x [4] -> the nodes, with constants "numbers" [4] and "w" [3 x 4].
::onnx::ModelProto model(const std::vector<std::pair<std::string, std::vector<std::string>>>& nodes) {
  ::onnx::ModelProto proto;
  proto.set_ir_version(7);
  proto.add_opset_import()->set_version(13);
  auto& graph = *proto.mutable_graph();
  auto& input = *graph.add_input();
  input.set_name("x");
  auto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
  shape.add_dim()->set_dim_param("n");
  shape.add_dim()->set_dim_value(4);
  for (const auto* name : {"numbers", "w"}) {
    const bool whole = *name == 'n';
    auto& tensor = *graph.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(whole ? ::onnx::TensorProto::INT64 : ::onnx::TensorProto::FLOAT);
    tensor.add_dims(4);
    if (!whole) tensor.add_dims(3);
    for (int i = 0; whole && i < 4; ++i) tensor.add_int64_data(i + 1);
    for (int i = 0; !whole && i < 12; ++i) tensor.add_float_data(static_cast<float>(i));
  }
  for (const auto& [op, names] : nodes) {
    auto& node = *graph.add_node();
    node.set_op_type(op);
    for (std::size_t i = 0; i + 1 < names.size(); ++i) node.add_input(names[i]);
    node.add_output(names.back());
  }
  graph.add_output()->set_name("y");
  return proto;
}

OnnxNetwork import(const ::onnx::ModelProto& proto, const OnnxOptions& options = {}) {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("m.onnx"), std::ios::binary) << proto.SerializeAsString();
  return import_onnx(directory.file("m.onnx"), options);
}

std::string problem(const ::onnx::ModelProto& proto, const OnnxOptions& options = {},
                    Exit code = Exit::bad_input) {
  return refusal([&] { import(proto, options); }, code);
}

void note(::onnx::ModelProto& proto, const std::string& key, const std::string& value) {
  auto& property = *proto.add_metadata_props();
  property.set_key(key);
  property.set_value(value);
}

}  // namespace

TEST_CASE("onnx: an Add of one input, and a node without outputs") {
  CHECK(problem(model({{"MatMul", {"x", "w", "y"}}})) == "taken");
  CHECK_THAT(problem(model({{"MatMul", {"x", "w", "z"}}, {"Add", {"z", "y"}}})), Catch::Contains("(Add)"));
  auto proto = model({{"MatMul", {"x", "w", "y"}}, {"Add", {"y", "y", "z"}}});
  proto.mutable_graph()->mutable_node(1)->clear_output();
  CHECK(problem(proto) == "taken");  // nothing depends on it
}

TEST_CASE("onnx: constants that double from node to node stop before they fill the memory") {
  std::vector<std::pair<std::string, std::vector<std::string>>> nodes;
  std::string last = "numbers";
  for (int i = 0; i < 60; ++i) {
    const std::string next = "doubled" + std::to_string(i);
    nodes.push_back({"Concat", {last, last, next}});
    last = next;
  }
  nodes.push_back({"Reshape", {"x", last, "flat"}});
  nodes.push_back({"MatMul", {"flat", "w", "y"}});
  CHECK_THAT(problem(model(nodes)),
             Catch::Contains("doubled") && Catch::Contains("far more than the file holds"));
}

TEST_CASE("onnx: scaling that cannot be is refused, the file's as bad input, the caller's as usage") {
  const auto plain = model({{"MatMul", {"x", "w", "y"}}});
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"scale", "0"}, {"std", "0"}, {"std", "-1"}, {"mean", "1,2,3"}}) {
    INFO(key << " " << value);
    auto proto = plain;
    note(proto, "temblor." + key, value);
    CHECK_THAT(problem(proto), Catch::Contains("temblor." + key) && Catch::Contains("m.onnx"));
  }
  auto uneven = plain;
  note(uneven, "temblor.mean", "1,2");
  note(uneven, "temblor.std", "1,2,3,4");
  CHECK_THAT(problem(uneven), Catch::Contains("temblor.mean"));
  OnnxOptions options;
  options.scaling = InputScaling{1, {1, 2, 3}, {1}};
  CHECK_THAT(problem(plain, options, Exit::usage), Catch::Contains("one a channel"));
}
