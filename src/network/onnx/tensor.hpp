#pragma once

#include <cstdint>
#include <string>
#include <vector>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <onnx/onnx_pb.h>
#pragma GCC diagnostic pop

#include <temblor/network/types.hpp>

namespace temblor::onnx_io {

/// A constant of an ONNX graph: real numbers as float32, whole ones as int64.
struct Tensor {
  std::vector<std::int64_t> dims;
  bool real = true;
  std::vector<float> values;        ///< of a real tensor
  std::vector<std::int64_t> whole;  ///< of a whole one

  std::size_t size() const { return real ? values.size() : whole.size(); }
};

/// Values of a tensor, typed fields or raw data, in the file or beside it in `folder`. Bad-input error that
/// begins with `where`.
Tensor read_tensor(const ::onnx::TensorProto& proto, const std::string& folder, const std::string& where);

}  // namespace temblor::onnx_io
