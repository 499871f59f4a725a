#include "builder.hpp"

namespace temblor {

OnnxNetwork import_onnx(const std::string& path, const OnnxOptions& options) {
  const onnx_io::Model model(path);
  return onnx_io::Builder(model, options).run();
}

}  // namespace temblor
