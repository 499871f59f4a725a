#include "node.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::onnx_io {

std::string title(const Node& node) {
  const std::string output = node.output_size() > 0 ? node.output(0) : "";
  return "node '" + (node.name().empty() ? output : node.name()) + "' (" + node.op_type() + ")";
}

void refuse(const Node& node, const std::string& path, const std::string& why, const std::string& cure) {
  input_error(title(node) + " in '" + path + "'", why, cure);
}

const ::onnx::AttributeProto* attribute(const Node& node, const std::string& name) {
  for (const auto& one : node.attribute()) {
    if (one.name() == name) return &one;
  }
  return nullptr;
}

std::int64_t integer(const Node& node, const std::string& name, std::int64_t initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : found->i();
}

float real(const Node& node, const std::string& name, float initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : found->f();
}

std::string text(const Node& node, const std::string& name, const std::string& initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : found->s();
}

Dims integers(const Node& node, const std::string& name, const Dims& initial) {
  const auto* found = attribute(node, name);
  return found == nullptr ? initial : Dims(found->ints().begin(), found->ints().end());
}

bool has_input(const Node& node, int input) {
  return input < node.input_size() && !node.input(input).empty();
}

std::string sizes_text(const Dims& dims) {
  std::vector<std::string> words;
  for (const auto dim : dims) words.push_back(std::to_string(dim));
  return "[" + join(words, " x ") + "]";
}

std::int64_t product(const Dims& dims) {
  std::int64_t count = 1;
  for (const auto dim : dims) count *= dim;
  return count;
}

bool within(const Dims& dims, std::int64_t most) {
  std::int64_t count = 1;
  for (const auto dim : dims) {
    if (dim < 1 || dim > most / count) return false;
    count *= dim;
  }
  return true;
}

}  // namespace temblor::onnx_io
