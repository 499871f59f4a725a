#include "writer.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/onnx.hpp>

namespace temblor {
namespace {

constexpr int opset = 14;      // the first with HardSwish
constexpr int ir_version = 7;  // the one that opset belongs to

void set_type(::onnx::ValueInfoProto& info, const std::string& name, const Shape& shape) {
  info.set_name(name);
  auto& type = *info.mutable_type()->mutable_tensor_type();
  type.set_elem_type(::onnx::TensorProto::FLOAT);
  type.mutable_shape()->add_dim()->set_dim_param("batch");
  for (const Index dim : shape.dims) type.mutable_shape()->add_dim()->set_dim_value(dim);
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
  onnx_io::Writer writer(network, graph);
  for (int i = 0; i < static_cast<int>(network.nodes().size()); ++i) onnx_io::write_layer(writer, i);
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
