#include "node.hpp"

#include <temblor/base/error.hpp>

namespace temblor::onnx_io {

std::string title(const ::onnx::NodeProto& node) {
  const std::string output = node.output_size() > 0 ? node.output(0) : "";
  return "node '" + (node.name().empty() ? output : node.name()) + "' (" + node.op_type() + ")";
}

void refuse(const ::onnx::NodeProto& node, const std::string& path, const std::string& why,
            const std::string& cure) {
  input_error(title(node) + " in '" + path + "'", why, cure);
}

const ::onnx::AttributeProto* attribute(const ::onnx::NodeProto& node, const std::string& name) {
  for (const auto& one : node.attribute()) {
    if (one.name() == name) return &one;
  }
  return nullptr;
}

std::int64_t integer(const ::onnx::NodeProto& node, const std::string& name, std::int64_t initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : found->i();
}

float real(const ::onnx::NodeProto& node, const std::string& name, float initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : found->f();
}

std::int64_t product(const std::vector<std::int64_t>& dims) {
  std::int64_t count = 1;
  for (const auto dim : dims) count *= dim;
  return count;
}

}  // namespace temblor::onnx_io
