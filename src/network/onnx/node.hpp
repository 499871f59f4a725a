#pragma once

#include "tensor.hpp"

#include <map>
#include <string>
#include <vector>

namespace temblor::onnx_io {

/// The constants of a graph by name.
using Constants = std::map<std::string, Tensor>;

/// "node 'fc1' (Gemm)"
std::string title(const ::onnx::NodeProto& node);
/// Bad-input error naming the node and the file.
[[noreturn]] void refuse(const ::onnx::NodeProto& node, const std::string& path, const std::string& why,
                         const std::string& cure);

/// An attribute by name, or null; its value, or `initial`.
const ::onnx::AttributeProto* attribute(const ::onnx::NodeProto& node, const std::string& name);
std::int64_t integer(const ::onnx::NodeProto& node, const std::string& name, std::int64_t initial);
float real(const ::onnx::NodeProto& node, const std::string& name, float initial);

/// Stands for the batch where a graph computes with shapes: Reshape takes a 0 as "the size the input has".
inline constexpr std::int64_t batch_size = 0;

/// Computes a node from constants alone and adds its output to them; false where that cannot be: its inputs
/// are not constants, or it is not one of Cast, Concat, Constant, Gather, Identity, Squeeze, Transpose and
/// Unsqueeze in the forms that exporters use for weights and shapes.
bool fold(const ::onnx::NodeProto& node, const std::string& path, Constants& constants);

/// The sizes of an image (without the batch) behind Flatten, Reshape, Squeeze or Unsqueeze. Bad-input error
/// where the batch, or the number of values of an image, does not stay.
std::vector<std::int64_t> reshaped(const ::onnx::NodeProto& node, const std::string& path,
                                   const std::vector<std::int64_t>& dims, const Constants& constants);

std::int64_t product(const std::vector<std::int64_t>& dims);
inline constexpr std::int64_t most_values = std::int64_t{1} << 28;  ///< of one image

}  // namespace temblor::onnx_io
