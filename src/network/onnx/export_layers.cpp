#include "writer.hpp"

#include <algorithm>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor::onnx_io {
namespace {

std::vector<std::int64_t> wholes(const Network::Node& layer, const std::string& option) {
  const auto options = layer.layer->options();
  const auto& values = options.at(option);
  return {values.begin(), values.end()};
}

float number(const Network::Node& layer, const std::string& option) {
  return static_cast<float>(layer.layer->options().at(option).front());
}

std::string bias_of(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  const Vector& bias = writer.network().weights(layer.weights).bias;
  if (bias.size() == 0) return "";
  return writer.reals("layer" + std::to_string(index) + ".bias", {bias.size()}, bias.data());
}

/// One node of one input.
::onnx::NodeProto& plain(Writer& writer, int index, const std::string& op,
                         const std::vector<std::string>& constants = {}) {
  const auto& layer = writer.layer(index);
  std::vector<std::string> inputs{writer.value(layer.inputs.front())};
  inputs.insert(inputs.end(), constants.begin(), constants.end());
  return writer.node(op, layer.name, inputs, writer.value(index));
}

void set_window(Writer& writer, int index, ::onnx::NodeProto& node) {
  const auto& layer = writer.layer(index);
  Writer::set(node, "kernel_shape", wholes(layer, "kernel"));
  Writer::set(node, "strides", wholes(layer, "stride"));
  Writer::set(node, "pads", wholes(layer, "padding"));
  if (layer.layer->options().contains("dilation")) Writer::set(node, "dilations", wholes(layer, "dilation"));
}

void write_dense(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  const Weights& weights = writer.network().weights(layer.weights);
  std::string input = writer.value(layer.inputs.front());
  if (writer.shape(layer.inputs.front()).dims.size() > 1) {
    const std::string flat = "layer" + std::to_string(index) + ".flat";
    Writer::set(writer.node("Flatten", flat, {input}, flat), "axis", std::int64_t{1});
    input = flat;
  }
  std::vector<std::string> inputs{
      input, write_weights(writer, index, {weights.weight.rows(), weights.weight.cols()})};
  if (const std::string bias = bias_of(writer, index); !bias.empty()) inputs.push_back(bias);
  Writer::set(writer.node("Gemm", layer.name, inputs, writer.value(index)), "transB", std::int64_t{1});
}

void write_conv(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  const Weights& weights = writer.network().weights(layer.weights);
  const auto kernel = wholes(layer, "kernel");
  const auto taps = static_cast<Index>(kernel[0] * kernel[1]);
  std::vector<std::string> constants{
      write_weights(writer, index,
                    {weights.weight.rows(), weights.weight.cols() / taps, static_cast<Index>(kernel[0]),
                     static_cast<Index>(kernel[1])})};
  if (const std::string bias = bias_of(writer, index); !bias.empty()) constants.push_back(bias);
  auto& node = plain(writer, index, "Conv", constants);
  set_window(writer, index, node);
  Writer::set(node, "group", wholes(layer, "groups").front());
}

/// As a batch normalisation of mean 0, variance 1 and epsilon 0; without a bias, as a product.
void write_scale(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  const Weights& weights = writer.network().weights(layer.weights);
  const Index channels = weights.weight.rows();
  if (weights.bias.size() == 0) {
    std::vector<Index> dims(writer.shape(index).dims.size(), 1);
    dims.front() = channels;
    plain(writer, index, "Mul", {write_weights(writer, index, dims)});
    return;
  }
  const Vector zero = Vector::Zero(channels);
  const Vector one = Vector::Ones(channels);
  const std::string name = "layer" + std::to_string(index);
  const std::string factor = write_weights(writer, index, {channels});
  const std::string shift = bias_of(writer, index);
  auto& node = plain(writer, index, "BatchNormalization",
                     {factor, shift, writer.reals(name + ".mean", {channels}, zero.data()),
                      writer.reals(name + ".variance", {channels}, one.data())});
  Writer::set(node, "epsilon", 0.0F);
}

template <const char* op>
void write_plain(Writer& writer, int index) {
  plain(writer, index, op);
}

void write_leaky_relu(Writer& writer, int index) {
  Writer::set(plain(writer, index, "LeakyRelu"), "alpha", number(writer.layer(index), "slope"));
}

void write_clip(Writer& writer, int index) {
  const float low = number(writer.layer(index), "low");
  const float high = number(writer.layer(index), "high");
  const std::string name = "layer" + std::to_string(index);
  plain(writer, index, "Clip",
        {writer.reals(name + ".low", {}, &low), writer.reals(name + ".high", {}, &high)});
}

void write_max_pool(Writer& writer, int index) {
  set_window(writer, index, plain(writer, index, "MaxPool"));
}

void write_average_pool(Writer& writer, int index) {
  auto& node = plain(writer, index, "AveragePool");
  set_window(writer, index, node);
  Writer::set(node, "count_include_pad", wholes(writer.layer(index), "count-padding").front());
}

void write_add(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  std::vector<std::int64_t> signs = wholes(layer, "signs");
  signs.resize(layer.inputs.size(), 1);
  std::vector<std::string> inputs;
  for (const int input : layer.inputs) inputs.push_back(writer.value(input));
  const std::string output = writer.value(index);
  if (std::count(signs.begin(), signs.end(), 1) == static_cast<std::ptrdiff_t>(signs.size())) {
    writer.node(inputs.size() == 2 ? "Add" : "Sum", layer.name, inputs, output);
    return;
  }
  // In the layer's order, one by one.
  const std::string name = "layer" + std::to_string(index) + ".sum";
  std::string sum = inputs[0];
  if (signs[0] < 0) {
    writer.node("Neg", name, {sum}, name);
    sum = name;
  }
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const bool last = i + 1 == inputs.size();
    const std::string to = last ? output : name + std::to_string(i);
    writer.node(signs[i] > 0 ? "Add" : "Sub", last ? layer.name : to, {sum, inputs[i]}, to);
    sum = to;
  }
}

void write_concat(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  std::vector<std::string> inputs;
  for (const int input : layer.inputs) inputs.push_back(writer.value(input));
  Writer::set(writer.node("Concat", layer.name, inputs, writer.value(index)), "axis",
              wholes(layer, "axis").front() + 1);
}

void write_pad(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  std::vector<std::int64_t> pads{0};
  for (const auto count : wholes(layer, "before")) pads.push_back(count);
  pads.push_back(0);
  for (const auto count : wholes(layer, "after")) pads.push_back(count);
  const float value = number(layer, "value");
  const std::string name = "layer" + std::to_string(index);
  plain(writer, index, "Pad",
        {writer.wholes(name + ".pads", pads), writer.reals(name + ".value", {}, &value)});
}

void write_slice(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  const auto start = wholes(layer, "start");
  const auto count = wholes(layer, "count");
  const auto step = wholes(layer, "step");
  std::vector<std::int64_t> ends, axes;
  for (std::size_t d = 0; d < start.size(); ++d) {
    // An end below 0 would count from the last value; all the way down is the least number.
    const std::int64_t end = start[d] + count[d] * step[d];
    ends.push_back(end < 0 ? -std::numeric_limits<std::int64_t>::max() : end);
    axes.push_back(static_cast<std::int64_t>(d) + 1);
  }
  const std::string name = "layer" + std::to_string(index);
  plain(writer, index, "Slice",
        {writer.wholes(name + ".starts", start), writer.wholes(name + ".ends", ends),
         writer.wholes(name + ".axes", axes), writer.wholes(name + ".steps", step)});
}

void write_transpose(Writer& writer, int index) {
  std::vector<std::int64_t> order{0};
  for (const auto axis : wholes(writer.layer(index), "order")) order.push_back(axis + 1);
  Writer::set(plain(writer, index, "Transpose"), "perm", order);
}

void write_reshape(Writer& writer, int index) {
  std::vector<std::int64_t> sizes{0};  // the batch stays
  for (const auto size : wholes(writer.layer(index), "shape")) sizes.push_back(size);
  plain(writer, index, "Reshape", {writer.wholes("layer" + std::to_string(index) + ".shape", sizes)});
}

void write_flatten(Writer& writer, int index) {
  Writer::set(plain(writer, index, "Flatten"), "axis", std::int64_t{1});
}

constexpr char relu[] = "Relu";
constexpr char sigmoid[] = "Sigmoid";
constexpr char tanh_op[] = "Tanh";
constexpr char hard_swish[] = "HardSwish";
constexpr char global_average[] = "GlobalAveragePool";

struct Entry {
  std::string_view kind;
  void (*write)(Writer&, int);
};

constexpr Entry table[] = {
    {"dense", write_dense},
    {"conv2d", write_conv},
    {"scale", write_scale},
    {"relu", write_plain<relu>},
    {"leaky-relu", write_leaky_relu},
    {"clip", write_clip},
    {"sigmoid", write_plain<sigmoid>},
    {"tanh", write_plain<tanh_op>},
    {"hard-swish", write_plain<hard_swish>},
    {"max-pool", write_max_pool},
    {"average-pool", write_average_pool},
    {"global-average-pool", write_plain<global_average>},
    {"add", write_add},
    {"concat", write_concat},
    {"pad", write_pad},
    {"slice", write_slice},
    {"transpose", write_transpose},
    {"reshape", write_reshape},
    {"flatten", write_flatten},
};

}  // namespace

void write_layer(Writer& writer, int index) {
  const auto& layer = writer.layer(index);
  for (const Entry& entry : table) {
    if (entry.kind == layer.layer->kind()) return entry.write(writer, index);
  }
  input_error("layer '" + layer.name + "' cannot be written as ONNX",
              "a " + std::string(layer.layer->kind()) + " layer has no ONNX form here",
              "write a network file (.h5)");
}

}  // namespace temblor::onnx_io
