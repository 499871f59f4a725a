#pragma once

#include "constants.hpp"

#include <temblor/network/network.hpp>

namespace temblor::onnx_io {

/// An ONNX file, parsed and checked, and which of its nodes read and make what.
class Model {
 public:
  /// Bad-input error for a file that is damaged, of another opset, with several inputs or outputs, or whose
  /// nodes do not follow one another.
  explicit Model(std::string path);

  const std::string& path() const { return path_; }
  const ::onnx::GraphProto& graph() const { return proto_.graph(); }
  /// Whether this program wrote it: then every node stands for a layer, and nothing is folded.
  bool own() const { return proto_.producer_name() == "temblor"; }
  const std::string& output() const { return graph().output(0).name(); }
  const ::onnx::ValueInfoProto& image() const { return *image_; }
  /// Whether the output depends on the node.
  bool needed(int node) const { return needed_[static_cast<std::size_t>(node)]; }
  /// The one needed node that reads `value`, or -1: none or several do, or it is the output.
  int only_reader(const std::string& value) const;
  std::vector<int> readers(const std::string& value) const;

  /// Initialisers that something reads, and what follows from them alone.
  Constants constants() const;
  /// Shape of one image; bad-input error where the file leaves it open.
  Shape shape() const;
  /// As export_onnx notes it, else 1/255, 0, 1. Bad-input error for a note that does not fit images of the
  /// shape.
  InputScaling scaling(const Shape& shape) const;

  [[noreturn]] void refuse(const std::string& why, const std::string& cure) const;

 private:
  void parse();
  void check() const;
  void connect();
  void find_image();

  std::string path_;
  ::onnx::ModelProto proto_;
  const ::onnx::ValueInfoProto* image_ = nullptr;
  std::map<std::string, std::vector<int>> readers_;  ///< -1: the output
  std::vector<bool> needed_;
};

}  // namespace temblor::onnx_io
