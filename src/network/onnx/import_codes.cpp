#include "operators.hpp"

#include <cmath>

namespace temblor::onnx_io {

Grid grid_at(const Builder& builder, const Node& node, int scale, int zero) {
  const Tensor& step = builder.constant(node, scale);
  const Tensor* origin = has_input(node, zero) ? &builder.constant(node, zero) : nullptr;
  if (!step.real || step.size() != 1 || !(step.values[0] > 0) || !std::isfinite(step.values[0]) ||
      (origin != nullptr && (origin->real || origin->size() != 1))) {
    builder.refuse(node, "the scale of an activation is not one positive number with one zero point",
                   "quantise activations as a whole");
  }
  const bool negative = origin != nullptr && origin->type == ::onnx::TensorProto::INT8;
  if (!negative && origin != nullptr && origin->type != ::onnx::TensorProto::UINT8)
    builder.refuse(node, "its activations are not INT8 or UINT8", "quantise activations to 8 bits");
  return {step.values[0], origin == nullptr ? 0 : origin->whole[0], negative};
}

Value codes_at(const Builder& builder, const Node& node, int input, const Grid& grid) {
  const Value& value = builder.value_or_codes(node, input);
  if (!value.grid || *value.grid != grid) {
    builder.refuse(node, "it reads codes of another scale or zero point than they were made with",
                   "export the model again");
  }
  return value;
}

void give_codes(Builder& builder, const Node& node, const Value& value, const Grid& grid) {
  // Networks compute with real activations. A grid's limits cut values off, often in the place of a Relu, and
  // stay as a clip; its steps do not.
  builder.note_once("activations are clipped to the range of their 8-bit codes, not rounded to them");
  const auto limit = [&](std::int64_t code) {
    return std::vector<double>{static_cast<double>(static_cast<float>(code - grid.zero) * grid.scale)};
  };
  const std::int64_t least = grid.negative ? -128 : 0;
  const Value made =
      builder.add(node, "clip", {{"low", limit(least)}, {"high", limit(least + 255)}}, {value.node});
  builder.give(node, {made.node, value.dims, grid});
}

Tensor decoded_at(const Builder& builder, const Node& node, int input, std::int64_t axis) {
  const Tensor& codes = builder.constant(node, input);
  if (codes.type != ::onnx::TensorProto::INT8 && codes.type != ::onnx::TensorProto::UINT8)
    builder.refuse(node, "its weights are not INT8 or UINT8", "quantise weights to 8 bits");
  return builder.decode(node, codes, builder.constant(node, input + 1), builder.constant(node, input + 2),
                        axis);
}

void convert_quantize_linear(Builder& builder, const Node& node) {
  give_codes(builder, node, builder.value(node, 0), grid_at(builder, node, 1, 2));
}

void convert_dequantize_linear(Builder& builder, const Node& node) {
  Value value = codes_at(builder, node, 0, grid_at(builder, node, 1, 2));
  value.grid.reset();
  builder.give(node, std::move(value));
}

}  // namespace temblor::onnx_io
