#pragma once

#include "tensor.hpp"

#include <string>
#include <vector>

namespace temblor::onnx_io {

using Node = ::onnx::NodeProto;
using Dims = std::vector<std::int64_t>;

/// "node 'fc1' (Gemm)"
std::string title(const Node& node);
/// Bad-input error naming the node and the file.
[[noreturn]] void refuse(const Node& node, const std::string& path, const std::string& why,
                         const std::string& cure);

/// An attribute by name, or null; its value, or `initial`.
const ::onnx::AttributeProto* attribute(const Node& node, const std::string& name);
std::int64_t integer(const Node& node, const std::string& name, std::int64_t initial);
float real(const Node& node, const std::string& name, float initial);
std::string text(const Node& node, const std::string& name, const std::string& initial);
Dims integers(const Node& node, const std::string& name, const Dims& initial);

bool has_input(const Node& node, int input);

/// "[3 x 4]"
std::string sizes_text(const Dims& dims);
/// Number of values; only of sizes that were checked.
std::int64_t product(const Dims& dims);
/// Whether the sizes are above 0 and ask for no more than `most` values.
bool within(const Dims& dims, std::int64_t most);
inline constexpr std::int64_t most_values = std::int64_t{1} << 26;  ///< of one image, in any layer

/// Stands for the size of the batch where a graph computes with shapes: arithmetic with it is refused.
inline constexpr std::int64_t batch_size = -(std::int64_t{1} << 61) - 40961;

}  // namespace temblor::onnx_io
