#include "builder.hpp"

#include <temblor/formats/format.hpp>

namespace temblor::onnx_io {

/// Codes of a graph as a layer's stored codes.
void Builder::store_codes(const Node& node, int layer, const Coded& coded) {
  const Weights& weights = network_.weights(layer);
  const auto rows = static_cast<std::size_t>(weights.weight.rows());
  const auto columns = static_cast<std::size_t>(weights.weight.cols());
  const bool per_channel = coded.scale.size() > 1;
  if (per_channel && coded.axis != 0) {
    note(node, "has scales along its inputs: its weights are decoded, their codes are not kept");
    return;
  }
  // Others give symmetric codes zero points of 0, too.
  const bool affine =
      !coded.negative || (coded.says_zero && model_.own()) ||
      std::any_of(coded.zero_point.begin(), coded.zero_point.end(), [](auto zero) { return zero != 0; });
  const std::string name = std::string(coded.negative ? "int8" : "uint8") +
                           (affine && coded.negative ? "-affine" : "") + (per_channel ? "-channel" : "");
  Encoded encoded{&find_format(name), rows, columns, {}, coded.scale, {}};
  for (const auto code : coded.codes) encoded.codes.push_back(static_cast<std::uint32_t>(code) & 0xFFU);
  if (affine) encoded.zero_point.assign(coded.zero_point.begin(), coded.zero_point.end());
  network_.set_codes(layer, std::move(encoded));
}

}  // namespace temblor::onnx_io
