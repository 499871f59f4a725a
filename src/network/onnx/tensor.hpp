#pragma once

#include <cstdint>
#include <memory>
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

/// Whole numbers that stand for real ones: real = (code - zero point) * scale, as DequantizeLinear has it.
struct Coded {
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> codes;
  bool negative = true;                  ///< int8, otherwise uint8
  std::vector<float> scale;              ///< one, or one an index of `axis`
  std::vector<std::int64_t> zero_point;  ///< likewise
  std::int64_t axis = 0;
  bool says_zero = true;  ///< whether the model gives zero points, be they all 0

  std::shared_ptr<const Coded> transposed() const;  ///< of a matrix
};

/// A constant of an ONNX graph: real numbers as float32, whole ones as int64.
struct Tensor {
  std::vector<std::int64_t> dims;
  bool real = true;
  int type = ::onnx::TensorProto::FLOAT;  ///< of the file
  std::shared_ptr<const Coded> coded{};   ///< of real numbers that the file holds as codes
  std::vector<float> values;              ///< of a real tensor
  std::vector<std::int64_t> whole;        ///< of a whole one

  std::size_t size() const { return real ? values.size() : whole.size(); }
};

/// Values of a tensor, typed fields or raw data, in the file or beside it in `folder`. Bad-input error that
/// begins with `where`.
Tensor read_tensor(const ::onnx::TensorProto& proto, const std::string& folder, const std::string& where);

}  // namespace temblor::onnx_io
