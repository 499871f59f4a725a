#include "operators.hpp"

#include <temblor/base/text.hpp>

namespace temblor::onnx_io {

const std::vector<Operator>& operators() {
  static const std::vector<Operator> table = {
      {"Add", "of activations, or with a constant", convert_arithmetic},
      {"AveragePool", "", convert_average_pool},
      {"BatchNormalization", "", convert_batch_norm},
      {"Cast", "to FLOAT", convert_cast},
      {"Clip", "", convert_clip},
      {"Concat", "", convert_concat},
      {"Conv", "of pictures", convert_conv},
      {"DequantizeLinear", "", convert_dequantize_linear},
      {"Div", "by a constant", convert_arithmetic},
      {"Dropout", "", convert_identity},
      {"Flatten", "", convert_reshape},
      {"Gather", "of one index", convert_gather},
      {"Gemm", "", convert_gemm},
      {"GlobalAveragePool", "", convert_global_average_pool},
      {"HardSigmoid", "", convert_hard_sigmoid},
      {"HardSwish", "", convert_activation},
      {"Identity", "", convert_identity},
      {"LeakyRelu", "", convert_leaky_relu},
      {"LogSoftmax", "at the end", convert_softmax},
      {"MatMul", "", convert_matmul},
      {"MaxPool", "", convert_max_pool},
      {"Mul", "with a constant", convert_arithmetic},
      {"Neg", "", convert_neg},
      {"Pad", "with a constant", convert_pad},
      {"QLinearConv", "of pictures", convert_qlinear_conv},
      {"QLinearMatMul", "", convert_qlinear_matmul},
      {"QuantizeLinear", "", convert_quantize_linear},
      {"ReduceMean", "over rows and columns", convert_reduce_mean},
      {"Relu", "", convert_activation},
      {"Reshape", "", convert_reshape},
      {"Shape", "", convert_shape},
      {"Sigmoid", "", convert_activation},
      {"Slice", "", convert_slice},
      {"Softmax", "at the end", convert_softmax},
      {"Squeeze", "", convert_reshape},
      {"Sub", "of activations, or with a constant", convert_arithmetic},
      {"Sum", "of activations", convert_sum},
      {"Tanh", "", convert_activation},
      {"Transpose", "", convert_transpose},
      {"Unsqueeze", "", convert_reshape},
  };
  return table;
}

std::string supported_operators() {
  std::vector<std::string> names;
  for (const Operator& entry : operators())
    names.push_back(entry.op + (entry.help.empty() ? "" : " (" + entry.help + ")"));
  return join(names, ", ") + "; and, of constants, " + join(foldable_operators(), ", ");
}

}  // namespace temblor::onnx_io
