#pragma once

#include "tensor.hpp"

#include <temblor/network/network.hpp>

namespace temblor::onnx_io {

/// Writes a network's layers as the nodes of a graph. Values are named image, value0, value1, ..., logits.
class Writer {
 public:
  Writer(const Network& network, ::onnx::GraphProto& graph) : network_(network), graph_(graph) {}

  const Network& network() const { return network_; }
  const Network::Node& layer(int index) const { return network_.nodes()[static_cast<std::size_t>(index)]; }
  /// What a node gives, and the shape of it; -1: the image.
  std::string value(int index) const;
  const Shape& shape(int index) const;

  ::onnx::NodeProto& node(const std::string& op, const std::string& name,
                          const std::vector<std::string>& inputs, const std::string& output);
  /// Add an initialiser and return its name.
  std::string reals(const std::string& name, const std::vector<Index>& dims, const float* values);
  std::string wholes(const std::string& name, const std::vector<std::int64_t>& values);
  std::string bytes(const std::string& name, const std::vector<Index>& dims, const std::string& values,
                    bool negative);

  static void set(::onnx::NodeProto& node, const std::string& name, std::int64_t value);
  static void set(::onnx::NodeProto& node, const std::string& name, float value);
  static void set(::onnx::NodeProto& node, const std::string& name, const std::vector<std::int64_t>& values);

 private:
  ::onnx::TensorProto& tensor(const std::string& name, const std::vector<Index>& dims);

  const Network& network_;
  ::onnx::GraphProto& graph_;
};

/// Writes one layer. A new kind of layer is one function and one line in export_layers.cpp.
void write_layer(Writer& writer, int index);
/// The weights of a layer as an initialiser of these sizes; codes stay codes, behind a DequantizeLinear.
/// Returns the name of the values.
std::string write_weights(Writer& writer, int index, const std::vector<Index>& dims);

}  // namespace temblor::onnx_io
