#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <onnx/onnx_pb.h>

namespace {

std::string directory;

void put(const std::string& target, const std::string& name, const std::string& bytes) {
  const auto folder = std::filesystem::path(directory) / target;
  std::filesystem::create_directories(folder);
  std::ofstream(folder / name, std::ios::binary) << bytes;
}

// ---- images

void idx(const std::string& name, unsigned way, const std::string& labels, const std::string& images) {
  put("idx", name,
      std::string{static_cast<char>(way), static_cast<char>(labels.size()), '\0'} + labels + images);
}

void image_seeds() {
  const std::string labels{0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 0, 1};
  const std::string flat = std::string{0, 0, 8, 2, 0, 0, 0, 4, 0, 0, 0, 3} + "abcdefghijkl";
  const std::string gray =
      std::string{0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 3} + "abcdefghijklmnopqrstuvwx";
  const std::string colour =
      std::string{0, 0, 8, 4, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2} + "abcdefghijklmnopqrstuvwx";
  idx("flat", 0, labels, flat);
  idx("gray", 16, labels, gray);
  idx("gray-gz", 2 + 8, labels, gray);
  idx("gray-as-gz", 1 + 4, labels, gray);
  idx("colour", 0, labels, colour);
  const std::string pictures =
      std::string(1, 3) + std::string(3072, 'p') + std::string(1, 9) + std::string(3072, 'q');
  put("cifar", "two", '\0' + pictures);
  put("cifar", "two-gz", '\2' + pictures);
  put("cifar", "one", '\0' + pictures.substr(0, 3073));
}

// ---- ONNX

using Sizes = std::vector<std::int64_t>;

/// A model built node by node; weights are small numbers that differ.
class Model {
 public:
  explicit Model(const Sizes& image, std::int64_t opset = 13) {
    proto_.set_ir_version(7);
    proto_.add_opset_import()->set_version(opset);
    graph().set_name("g");
    type(*graph().add_input(), "x", image);
  }

  Model& real(const std::string& name, const Sizes& dims, bool raw = false) {
    auto& tensor = named(name, ::onnx::TensorProto::FLOAT, dims);
    std::int64_t count = 1;
    for (const auto dim : dims) count *= dim;
    for (std::int64_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(i % 7 - 3) / 4 + 0.125F;
      if (raw) {
        tensor.mutable_raw_data()->append(reinterpret_cast<const char*>(&value), sizeof value);
      } else {
        tensor.add_float_data(value);
      }
    }
    return *this;
  }
  Model& positive(const std::string& name, std::int64_t count) {
    auto& tensor = named(name, ::onnx::TensorProto::FLOAT, {count});
    for (std::int64_t i = 0; i < count; ++i) tensor.add_float_data(0.5F + static_cast<float>(i));
    return *this;
  }
  Model& whole(const std::string& name, const Sizes& values, bool scalar = false) {
    auto& tensor = named(name, ::onnx::TensorProto::INT64,
                         scalar ? Sizes{} : Sizes{static_cast<std::int64_t>(values.size())});
    for (const auto value : values) tensor.add_int64_data(value);
    return *this;
  }
  Model& scalar(const std::string& name, float value) {
    named(name, ::onnx::TensorProto::FLOAT, {}).add_float_data(value);
    return *this;
  }
  Model& bytes(const std::string& name, int data_type, const Sizes& dims, std::size_t count) {
    auto& tensor = named(name, data_type, dims);
    for (std::size_t i = 0; i < count; ++i) *tensor.mutable_raw_data() += static_cast<char>(i * 37);
    return *this;
  }
  Model& outside(const std::string& name, const Sizes& dims, const std::string& location) {
    auto& tensor = named(name, ::onnx::TensorProto::FLOAT, dims);
    tensor.set_data_location(::onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] :
         {std::pair<std::string, std::string>{"location", location}, {"offset", "0"}}) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    return *this;
  }

  Model& node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output) {
    auto& node = *graph().add_node();
    node.set_op_type(op);
    node.set_name(op + "_" + output);
    for (const auto& input : inputs) node.add_input(input);
    node.add_output(output);
    return *this;
  }
  /// Attributes of the last node.
  Model& with(const std::string& name, const Sizes& values) {
    auto& attribute = attributes(name, ::onnx::AttributeProto::INTS);
    for (const auto value : values) attribute.add_ints(value);
    return *this;
  }
  Model& with(const std::string& name, std::int64_t value) {
    attributes(name, ::onnx::AttributeProto::INT).set_i(value);
    return *this;
  }
  Model& with_real(const std::string& name, float value) {
    attributes(name, ::onnx::AttributeProto::FLOAT).set_f(value);
    return *this;
  }
  Model& with_text(const std::string& name, const std::string& value) {
    attributes(name, ::onnx::AttributeProto::STRING).set_s(value);
    return *this;
  }

  void save(const std::string& name, const std::string& output = "y") {
    type(*graph().add_output(), output, {3});
    put("onnx", name, proto_.SerializeAsString());
  }

 private:
  ::onnx::GraphProto& graph() { return *proto_.mutable_graph(); }
  ::onnx::TensorProto& named(const std::string& name, int data_type, const Sizes& dims) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(data_type);
    for (const auto dim : dims) tensor.add_dims(dim);
    return tensor;
  }
  ::onnx::AttributeProto& attributes(const std::string& name, ::onnx::AttributeProto::AttributeType type) {
    auto& attribute = *graph().mutable_node(graph().node_size() - 1)->add_attribute();
    attribute.set_name(name);
    attribute.set_type(type);
    return attribute;
  }
  static void type(::onnx::ValueInfoProto& info, const std::string& name, const Sizes& image) {
    info.set_name(name);
    auto& tensor = *info.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(::onnx::TensorProto::FLOAT);
    tensor.mutable_shape()->add_dim()->set_dim_param("n");
    for (const auto size : image) tensor.mutable_shape()->add_dim()->set_dim_value(size);
  }

  ::onnx::ModelProto proto_;
};

void dense_seeds() {
  for (const auto* activation :
       {"Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSwish", "Softmax", "Identity"}) {
    Model({4})
        .real("w", {5, 4}, true)
        .real("b", {5})
        .real("v", {3, 5})
        .node("Gemm", {"x", "w", "b"}, "h")
        .with("transB", std::int64_t{1})
        .node(activation, {"h"}, "a")
        .node("Gemm", {"a", "v"}, "y")
        .with("transB", std::int64_t{1})
        .with_real("alpha", 0.5F)
        .save(std::string("gemm-") + activation);
  }
  Model({1, 2, 2}, 11)
      .real("w", {4, 5})
      .real("b", {5})
      .real("v", {5, 3})
      .positive("s", 5)
      .whole("axis", {0}, true)
      .whole("left", {-1})
      .node("Shape", {"x"}, "shape")
      .node("Gather", {"shape", "axis"}, "n")
      .node("Unsqueeze", {"n"}, "n1")
      .with("axes", Sizes{0})
      .node("Concat", {"n1", "left"}, "sizes")
      .with("axis", std::int64_t{0})
      .node("Reshape", {"x", "sizes"}, "flat")
      .node("MatMul", {"flat", "w"}, "h")
      .node("Add", {"h", "b"}, "hb")
      .node("BatchNormalization", {"hb", "s", "s", "b", "s"}, "norm")
      .with_real("epsilon", 1e-5F)
      .node("Dropout", {"norm"}, "d")
      .node("Clip", {"d"}, "c")
      .with_real("min", 0)
      .with_real("max", 6)
      .node("MatMul", {"c", "v"}, "z")
      .node("Softmax", {"z"}, "y")
      .with("axis", std::int64_t{1})
      .save("torch-mlp");
  Model({4})
      .outside("w", {3, 4}, "weights.bin")
      .node("Gemm", {"x", "w"}, "y")
      .with("transB", std::int64_t{1})
      .save("external");
  Model({4})
      .bytes("w", ::onnx::TensorProto::FLOAT16, {4, 3}, 24)
      .node("Flatten", {"x"}, "f")
      .node("Transpose", {"w"}, "t")
      .with("perm", Sizes{1, 0})
      .node("Gemm", {"f", "t"}, "y")
      .with("transB", std::int64_t{1})
      .save("half");
}

void convolution_seeds() {
  Model({2, 4, 4})
      .real("k", {4, 2, 3, 3}, true)
      .real("kb", {4})
      .real("k2", {4, 1, 3, 3})
      .positive("s", 4)
      .real("w", {3, 4})
      .node("Conv", {"x", "k", "kb"}, "c")
      .with("pads", Sizes{1, 1, 1, 1})
      .with("kernel_shape", Sizes{3, 3})
      .with("strides", Sizes{1, 1})
      .with("dilations", Sizes{1, 1})
      .node("BatchNormalization", {"c", "s", "s", "kb", "s"}, "n")
      .node("Relu", {"n"}, "r")
      .node("Conv", {"r", "k2"}, "c2")
      .with("group", std::int64_t{4})
      .with_text("auto_pad", "SAME_UPPER")
      .node("Add", {"c2", "r"}, "sum")
      .node("MaxPool", {"sum"}, "p")
      .with("kernel_shape", Sizes{2, 2})
      .with("strides", Sizes{2, 2})
      .node("GlobalAveragePool", {"p"}, "g")
      .node("Flatten", {"g"}, "f")
      .node("Gemm", {"f", "w"}, "y")
      .with("transB", std::int64_t{1})
      .save("residual");
  Model({2, 4, 4})
      .whole("pads", {0, 0, 1, 1, 0, 0, 1, 1})
      .whole("starts", {0})
      .whole("ends", {4})
      .whole("axes", {2})
      .scalar("six", 6)
      .scalar("zero", 0)
      .real("k", {2, 2, 1, 1})
      .real("w", {64, 3})
      .node("Pad", {"x", "pads"}, "padded")
      .node("Slice", {"padded", "starts", "ends", "axes"}, "part")
      .node("AveragePool", {"part"}, "a")
      .with("kernel_shape", Sizes{1, 3})
      .node("Clip", {"a", "zero", "six"}, "c")
      .node("Conv", {"c", "k"}, "d")
      .node("Concat", {"c", "d"}, "both")
      .with("axis", std::int64_t{1})
      .node("Flatten", {"both"}, "f")
      .node("MatMul", {"f", "w"}, "y")
      .save("pad-slice-concat");
  Model({2, 2, 2})
      .scalar("scale", 0.125F)
      .bytes("zero", ::onnx::TensorProto::INT8, {}, 1)
      .bytes("code", ::onnx::TensorProto::INT8, {3, 8}, 24)
      .scalar("half", 0.5F)
      .node("DequantizeLinear", {"code", "scale", "zero"}, "w")
      .node("Mul", {"x", "half"}, "m")
      .node("Sub", {"m", "half"}, "shifted")
      .node("Flatten", {"shifted"}, "f")
      .node("Gemm", {"f", "w"}, "y")
      .with("transB", std::int64_t{1})
      .save("codes");
}

/// Small files that ask for much.
void greedy_seeds() {
  Model doubling({4});
  doubling.whole("a0", {1, 4});
  for (int i = 0; i < 40; ++i) {
    const auto a = "a" + std::to_string(i);
    doubling.node("Concat", {a, a}, "a" + std::to_string(i + 1)).with("axis", std::int64_t{0});
  }
  doubling.real("w", {4, 3})
      .node("Reshape", {"x", "a40"}, "r")
      .node("MatMul", {"r", "w"}, "y")
      .save("doubling");
  Model({4})
      .whole("sizes", {4, 1 << 30, 1 << 30})
      .node("ConstantOfShape", {"sizes"}, "w")
      .node("MatMul", {"x", "w"}, "y")
      .save("huge-constant");
  Model({3, 8, 8})
      .whole("pads", {0, 0, 1 << 30, 1 << 30, 0, 0, 1 << 30, 1 << 30})
      .real("k", {3, 3, 1, 1})
      .node("Pad", {"x", "pads"}, "p")
      .node("Conv", {"p", "k"}, "c")
      .with("pads", Sizes{1 << 30, 1 << 30, 1 << 30, 1 << 30})
      .node("GlobalAveragePool", {"c"}, "g")
      .node("Flatten", {"g"}, "y")
      .save("huge-pads");
}

}  // namespace

/// Writes the seeds of the targets whose inputs are no texts: fuzz_seeds DIRECTORY makes DIRECTORY/TARGET/...
int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: fuzz_seeds DIRECTORY\n";
    return 2;
  }
  directory = argv[1];
  image_seeds();
  dense_seeds();
  convolution_seeds();
  greedy_seeds();
  return 0;
}
