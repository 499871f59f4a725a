#include "operators.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::onnx_io {
namespace {

/// An element-wise layer: it does not see the shape.
Value add_elementwise(Builder& builder, const Node& node, const std::string& kind,
                      const LayerOptions& options, const Value& value) {
  return {builder.add(node, kind, options, {value.node}).node, value.dims};
}

}  // namespace

void convert_activation(Builder& builder, const Node& node) {
  const std::string& op = node.op_type();
  const std::string kind = op == "HardSwish" ? "hard-swish"
                           : op == "Relu"    ? "relu"
                           : op == "Sigmoid" ? "sigmoid"
                                             : "tanh";
  builder.give(node, add_elementwise(builder, node, kind, {}, builder.value(node, 0)));
}

void convert_leaky_relu(Builder& builder, const Node& node) {
  builder.give(node, add_elementwise(builder, node, "leaky-relu",
                                     {{"slope", {static_cast<double>(real(node, "alpha", 0.01F))}}},
                                     builder.value(node, 0)));
}

void convert_clip(Builder& builder, const Node& node) {
  constexpr float largest = std::numeric_limits<float>::max();
  const auto limit = [&](int input, const std::string& name, float initial) {
    if (!has_input(node, input)) return real(node, name, initial);
    const Tensor& tensor = builder.constant(node, input);
    if (!tensor.real || tensor.size() != 1)
      builder.refuse(node, "its limit '" + node.input(input) + "' is not one number", "export it again");
    return tensor.values[0];
  };
  const Value value = builder.value(node, 0);
  const float low = limit(1, "min", -largest);
  const float high = limit(2, "max", largest);
  if (!(low < high)) {
    builder.refuse(node, "its limits are " + std::to_string(low) + " and " + std::to_string(high),
                   "the lower must be below the upper");
  }
  if (low == 0 && high >= largest)
    return builder.give(node, add_elementwise(builder, node, "relu", {}, value));
  if (low <= -largest && high >= largest) return builder.give(node, value);
  builder.give(node, add_elementwise(builder, node, "clip",
                                     {{"low", {static_cast<double>(std::max(low, -largest))}},
                                      {"high", {static_cast<double>(std::min(high, largest))}}},
                                     value));
}

/// x HardSigmoid(x) is hard-swish where the line is x / 6 + 1 / 2; otherwise a scaling and a clip.
void convert_hard_sigmoid(Builder& builder, const Node& node) {
  const Value value = builder.value(node, 0);
  const float alpha = real(node, "alpha", 0.2F);
  const float beta = real(node, "beta", 0.5F);
  const int reader = builder.model().only_reader(node.output(0));
  if (reader >= 0 && std::abs(alpha - 1.0F / 6) < 1e-6F && beta == 0.5F) {
    const Node& product = builder.model().graph().node(reader);
    if (product.op_type() == "Mul" && product.input_size() == 2 &&
        product.input(product.input(0) == node.output(0) ? 1 : 0) == node.input(0)) {
      builder.skip(reader);
      return builder.give(product, add_elementwise(builder, node, "hard-swish", {}, value));
    }
  }
  Parameters line;
  line.weights.weight = Matrix::Constant(value.dims[0], 1, alpha);
  line.weights.bias = Vector::Constant(value.dims[0], beta);
  const int input = builder.shaped(node, value);
  const Value scaled = builder.add(node, "scale", {}, {input}, std::move(line));
  builder.give(node, add_elementwise(builder, node, "clip", {{"low", {0}}, {"high", {1}}}, scaled));
}

void convert_softmax(Builder& builder, const Node& node) {
  const Value& value = builder.value(node, 0);
  if (node.output(0) != builder.model().output() ||
      product(value.dims) != *std::max_element(value.dims.begin(), value.dims.end())) {
    builder.refuse(node, "it is not at the end", "only the output may be a " + node.op_type());
  }
  builder.note(node, "is left out: margins are of logits");
  builder.give(node, value);
}

void convert_identity(Builder& builder, const Node& node) {
  const Tensor* training = node.op_type() == "Dropout" ? builder.find_constant(node, 2) : nullptr;
  if (training != nullptr && !training->whole.empty() && training->whole[0] != 0)
    builder.refuse(node, "it drops values: training_mode is set", "export the model for inference");
  builder.give(node, builder.value(node, 0));
}

}  // namespace temblor::onnx_io
