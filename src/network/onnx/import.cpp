#include "node.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/network/onnx.hpp>

namespace temblor {
namespace {

using onnx_io::batch_size;
using onnx_io::fold;
using onnx_io::integer;
using onnx_io::most_values;
using onnx_io::real;
using onnx_io::Tensor;
using onnx_io::title;

constexpr std::int64_t least_opset = 7;
constexpr std::int64_t most_opset = 17;

const std::vector<std::string> supported{
    "Add (behind MatMul)",
    "BatchNormalization (behind Gemm or MatMul)",
    "Dropout",
    "Flatten",
    "Gemm",
    "Identity",
    "MatMul",
    "Relu",
    "Reshape",
    "Sigmoid",
    "Softmax (at the end)",
    "Squeeze",
    "Tanh",
    "Unsqueeze",
    "and, of constants: Cast, Concat, Constant, Gather, Shape, Transpose"};

/// A value that depends on the image.
struct Runtime {
  int node;                        ///< of our network; -1: the image
  std::vector<std::int64_t> dims;  ///< without the batch
};

class Importer {
 public:
  Importer(std::string path, const OnnxOptions& options) : path_(std::move(path)), options_(options) {}

  OnnxNetwork run() {
    parse();
    check_model();
    mark_needed();
    read_initializers();
    Network network = begin();
    network_ = &network;
    for (int i = 0; i < graph().node_size(); ++i) {
      if (needed_[static_cast<std::size_t>(i)] && !done_[static_cast<std::size_t>(i)])
        convert(graph().node(i));
    }
    const auto& output = graph().output(0).name();
    if (!runtime_.contains(output) || runtime_[output].node + 1 != static_cast<int>(network.nodes().size()) ||
        network.layers() == 0) {
      refuse_file("its output '" + output + "' is not computed from the image by layers with weights",
                  "export a classifier");
    }
    if (network.classes() < 2) refuse_file("its output has one value", "a classifier has at least two");
    return {std::move(network), std::move(notes_)};
  }

 private:
  const ::onnx::GraphProto& graph() const { return model_.graph(); }

  [[noreturn]] void refuse_file(const std::string& why, const std::string& cure) const {
    input_error("'" + path_ + "'", why, cure);
  }
  [[noreturn]] void refuse(const ::onnx::NodeProto& node, const std::string& why,
                           const std::string& cure) const {
    onnx_io::refuse(node, path_, why, cure);
  }

  void parse() {
    std::ifstream in(path_, std::ios::binary);
    if (!in || std::filesystem::is_directory(path_)) {
      input_error("cannot open '" + path_ + "'", "no such file, or not readable", "check the path");
    }
    google::protobuf::io::IstreamInputStream stream(&in);
    google::protobuf::io::CodedInputStream coded(&stream);
    if (!model_.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage() || !model_.has_graph()) {
      refuse_file("it is no ONNX model, or damaged", "export the model again");
    }
  }

  void check_model() const {
    std::int64_t opset = 0;
    for (const auto& one : model_.opset_import()) {
      if (one.domain().empty() || one.domain() == "ai.onnx") opset = one.version();
    }
    if (opset < least_opset || opset > most_opset) {
      refuse_file("its opset is " + std::to_string(opset), "export it with an opset from " +
                                                               std::to_string(least_opset) + " to " +
                                                               std::to_string(most_opset));
    }
    if (graph().output_size() != 1) {
      refuse_file("it has " + std::to_string(graph().output_size()) + " outputs", "export the logits alone");
    }
  }

  /// Nodes that the output depends on; and who makes and reads what.
  void mark_needed() {
    const auto count = static_cast<std::size_t>(graph().node_size());
    std::set<std::string> known;
    for (const auto& tensor : graph().initializer()) known.insert(tensor.name());
    for (const auto& input : graph().input()) known.insert(input.name());
    std::map<std::string, int> maker;
    for (int i = 0; i < graph().node_size(); ++i) {
      const auto& node = graph().node(i);
      for (const auto& input : node.input()) {
        if (!input.empty() && !known.contains(input)) {
          refuse(node, "nothing before it gives its input '" + input + "'",
                 "the graph is damaged: export the model again");
        }
        readers_[input].push_back(i);
      }
      for (const auto& output : node.output()) {
        if (output.empty()) continue;
        if (!known.insert(output).second) {
          refuse(node, "'" + output + "' is given twice", "the graph is damaged: export the model again");
        }
        maker[output] = i;
      }
    }
    readers_[graph().output(0).name()].push_back(-1);
    needed_.assign(count, false);
    done_.assign(count, false);
    std::vector<std::string> open{graph().output(0).name()};
    while (!open.empty()) {
      const auto found = maker.find(open.back());
      open.pop_back();
      if (found == maker.end() || needed_[static_cast<std::size_t>(found->second)]) continue;
      needed_[static_cast<std::size_t>(found->second)] = true;
      for (const auto& input : graph().node(found->second).input()) open.push_back(input);
    }
  }

  void read_initializers() {
    const auto folder = std::filesystem::path(path_).parent_path().string();
    for (const auto& tensor : graph().initializer()) {
      // Of what is not read, a type that cannot be read may stay.
      if (!readers_.contains(tensor.name())) continue;
      constants_[tensor.name()] =
          onnx_io::read_tensor(tensor, folder, "initializer '" + tensor.name() + "' in '" + path_ + "'");
    }
    // Constants that follow from constants: some are read before the graph comes to them.
    for (int i = 0; i < graph().node_size(); ++i) {
      if (needed_[static_cast<std::size_t>(i)] && graph().node(i).op_type() != "Shape" &&
          fold(graph().node(i), path_, constants_)) {
        done_[static_cast<std::size_t>(i)] = true;
      }
    }
  }

  Network begin() {
    const ::onnx::ValueInfoProto* image = nullptr;
    for (const auto& input : graph().input()) {
      if (constants_.contains(input.name())) continue;
      const bool stored = std::any_of(graph().initializer().begin(), graph().initializer().end(),
                                      [&](const auto& tensor) { return tensor.name() == input.name(); });
      if (stored) continue;
      if (image != nullptr) {
        refuse_file("it has more than one input: '" + image->name() + "' and '" + input.name() + "'",
                    "export a network of one image");
      }
      image = &input;
    }
    if (image == nullptr) refuse_file("it has no input", "export a network of one image");
    const Shape shape = options_.input ? *options_.input : shape_of(*image);
    runtime_[image->name()] = {-1, {shape.dims.begin(), shape.dims.end()}};
    return Network(shape, options_.scaling ? *options_.scaling : own_scaling());
  }

  Shape shape_of(const ::onnx::ValueInfoProto& image) const {
    const auto& dims = image.type().tensor_type().shape().dim();
    const std::string what = "input '" + image.name() + "' in '" + path_ + "'";
    if (dims.size() < 2 || dims.size() > 4) {
      input_error(what, "it has " + std::to_string(dims.size()) + " sizes, batch included",
                  "a batch of images has two to four; say which by --input-shape");
    }
    Shape shape;
    std::int64_t values = 1;
    for (int i = 1; i < dims.size(); ++i) {
      const std::int64_t size = dims[i].dim_value();
      if (size < 1) {
        input_error(what, "size " + std::to_string(i) + " is left open",
                    "give the shape of one image by --input-shape");
      }
      if (size > most_values / values) {
        input_error(what, "its size " + std::to_string(size) + " is impossible", "export the model again");
      }
      values *= size;
      shape.dims.push_back(static_cast<Index>(size));
    }
    return shape;
  }

  InputScaling own_scaling() const {
    InputScaling scaling;
    for (const auto& property : model_.metadata_props()) {
      const std::string what = "metadata '" + property.key() + "' in '" + path_ + "'";
      const auto numbers = [&] {
        std::vector<double> values;
        try {
          for (const auto& word : split(property.value(), ',')) values.push_back(parse_real(word, what));
        } catch (const Error& error) {
          throw Error(Exit::bad_input, error.what(), "", "");
        }
        return values;
      };
      if (property.key() == "temblor.scale") scaling.scale = numbers().front();
      if (property.key() == "temblor.mean") scaling.mean = numbers();
      if (property.key() == "temblor.std") scaling.std = numbers();
    }
    return scaling;
  }

  const Tensor& constant(const ::onnx::NodeProto& node, int input) const {
    const auto found = input < node.input_size() ? constants_.find(node.input(input)) : constants_.end();
    if (found == constants_.end()) {
      refuse(node, "its input " + std::to_string(input) + " is no constant",
             "only the image may run through the network");
    }
    return found->second;
  }
  bool has_input(const ::onnx::NodeProto& node, int input) const {
    return input < node.input_size() && !node.input(input).empty();
  }
  const Runtime& moving(const ::onnx::NodeProto& node, int input) {
    const auto found = input < node.input_size() ? runtime_.find(node.input(input)) : runtime_.end();
    if (found == runtime_.end()) {
      refuse(node, "its input " + std::to_string(input) + " does not depend on the image",
             "this form of the operator is not supported");
    }
    return found->second;
  }
  void convert(const ::onnx::NodeProto& node) {
    const auto& op = node.op_type();
    if (!node.domain().empty() && node.domain() != "ai.onnx") {
      refuse(node, "its operator is of domain '" + node.domain() + "'", "export it with standard operators");
    }
    if (fold(node, path_, constants_)) return;
    if (op == "Gemm") return add_gemm(node);
    if (op == "MatMul") return add_matmul(node);
    if (op == "Relu" || op == "Sigmoid" || op == "Tanh") return add_activation(node);
    if (op == "Flatten" || op == "Reshape" || op == "Squeeze" || op == "Unsqueeze") return reshape(node);
    if (op == "Identity" || op == "Dropout") return pass(node, moving(node, 0));
    if (op == "Softmax" || op == "LogSoftmax") return drop_softmax(node);
    if (op == "Shape") return shape(node);
    refuse(node, "the operator is not supported", "supported are " + join(supported, ", "));
  }

  void pass(const ::onnx::NodeProto& node, Runtime value) { runtime_[node.output(0)] = std::move(value); }

  void shape(const ::onnx::NodeProto& node) {
    Tensor tensor;
    tensor.real = false;
    tensor.whole = {batch_size};
    for (const auto dim : moving(node, 0).dims) tensor.whole.push_back(dim);
    tensor.dims = {static_cast<std::int64_t>(tensor.whole.size())};
    constants_[node.output(0)] = std::move(tensor);
  }

  void drop_softmax(const ::onnx::NodeProto& node) {
    const Runtime& value = moving(node, 0);
    if (node.output(0) != graph().output(0).name() || value.dims.size() != 1) {
      refuse(node, "it is not at the end", "only the output may be a " + node.op_type());
    }
    notes_.push_back(title(node) + " is left out: margins are of logits");
    pass(node, value);
  }

  void reshape(const ::onnx::NodeProto& node) {
    const Runtime& value = moving(node, 0);
    Runtime result{value.node, onnx_io::reshaped(node, path_, value.dims, constants_)};
    if (result.dims.size() == 1 && value.dims.size() > 1) result.node = add(node, "flatten", {}, value.node);
    pass(node, std::move(result));
  }

  int add(const ::onnx::NodeProto& node, const std::string& kind, Weights weights, int input) {
    try {
      return network_->add(make_layer(kind), std::move(weights), {input}, node.name());
    } catch (const Error& error) {
      throw Error(Exit::bad_input, title(node) + " in '" + path_ + "': " + error.what(), "", "");
    }
  }

  void add_activation(const ::onnx::NodeProto& node) {
    const Runtime& value = moving(node, 0);
    std::string kind = node.op_type();
    std::transform(kind.begin(), kind.end(), kind.begin(),
                   [](char c) { return static_cast<char>(c | 0x20); });
    pass(node, {add(node, kind, {}, value.node), value.dims});
  }

  const Runtime& flat_input(const ::onnx::NodeProto& node) {
    const Runtime& value = moving(node, 0);
    if (value.dims.size() != 1) {
      refuse(node, "each image has " + std::to_string(value.dims.size()) + " sizes before it",
             "flatten images before dense layers");
    }
    return value;
  }

  /// [outputs x inputs] of a constant matrix.
  Matrix matrix(const ::onnx::NodeProto& node, int input, bool transposed, std::int64_t inputs) const {
    const Tensor& tensor = constant(node, input);
    const std::size_t along = transposed ? 1 : 0;
    if (!tensor.real || tensor.dims.size() != 2 || tensor.dims[along] != inputs ||
        tensor.dims[1 - along] < 1) {
      std::vector<std::string> dims;
      for (const auto dim : tensor.dims) dims.push_back(std::to_string(dim));
      refuse(node,
             "its matrix '" + node.input(input) + "' is [" + join(dims, " x ") + "], the input has " +
                 std::to_string(inputs) + " values",
             "export the model again");
    }
    const Eigen::Map<const Matrix> values(tensor.values.data(), tensor.dims[0], tensor.dims[1]);
    return transposed ? Matrix(values) : Matrix(values.transpose());
  }

  /// A bias of `outputs` values; false when the tensor is something else.
  static bool read_bias(const Tensor& tensor, Index outputs, Vector& bias) {
    const bool row = !tensor.dims.empty() && tensor.dims.back() == outputs;
    if (!tensor.real ||
        !(tensor.size() == 1 || (row && tensor.size() == static_cast<std::size_t>(outputs)))) {
      return false;
    }
    bias = tensor.size() == 1 ? Vector(Vector::Constant(outputs, tensor.values[0]))
                              : Vector(Eigen::Map<const Vector>(tensor.values.data(), outputs));
    return true;
  }

  void add_gemm(const ::onnx::NodeProto& node) {
    const Runtime value = flat_input(node);
    if (integer(node, "transA", 0) != 0) refuse(node, "transA is set", "export rows as images");
    const float alpha = real(node, "alpha", 1);
    const float beta = real(node, "beta", 1);
    Weights weights;
    weights.weight = matrix(node, 1, integer(node, "transB", 0) != 0, value.dims[0]);
    if (has_input(node, 2) && !read_bias(constant(node, 2), weights.weight.rows(), weights.bias)) {
      refuse(node, "its bias does not fit", "export the model again");
    }
    if (alpha != 1 || (beta != 1 && weights.bias.size() != 0)) {
      weights.weight *= alpha;
      weights.bias *= beta;
      notes_.push_back(title(node) + ": alpha and beta are folded into weights and bias");
    }
    add_dense(node, std::move(weights), value.node, node.output(0));
  }

  void add_matmul(const ::onnx::NodeProto& node) {
    const Runtime value = flat_input(node);
    add_dense(node, {matrix(node, 1, false, value.dims[0]), {}}, value.node, node.output(0));
  }

  /// The one node that reads `name`, if it is of this kind.
  int next(const std::string& name, const std::string& op) const {
    const auto found = readers_.find(name);
    if (found == readers_.end() || found->second.size() != 1 || found->second[0] < 0) return -1;
    return graph().node(found->second[0]).op_type() == op ? found->second[0] : -1;
  }

  /// A dense layer, with the Add and the BatchNormalization behind it that belong to it.
  void add_dense(const ::onnx::NodeProto& node, Weights weights, int input, std::string output) {
    if (const int sum = next(output, "Add"); sum >= 0 && weights.bias.size() == 0) {
      const auto& adding = graph().node(sum);
      const auto& other = adding.input(adding.input(0) == output ? 1 : 0);
      const auto found = constants_.find(other);
      if (adding.input_size() == 2 && found != constants_.end() &&
          read_bias(found->second, weights.weight.rows(), weights.bias)) {
        done_[static_cast<std::size_t>(sum)] = true;
        output = adding.output(0);
      }
    }
    if (const int norm = next(output, "BatchNormalization"); norm >= 0) {
      fold_norm(graph().node(norm), weights);
      done_[static_cast<std::size_t>(norm)] = true;
      output = graph().node(norm).output(0);
    }
    const auto outputs = static_cast<std::int64_t>(weights.weight.rows());
    runtime_[output] = {add(node, "dense", std::move(weights), input), {outputs}};
  }

  void fold_norm(const ::onnx::NodeProto& node, Weights& weights) {
    const Index outputs = weights.weight.rows();
    std::array<VectorD, 4> parts;  // scale, shift, mean, variance
    for (int i = 0; i < 4; ++i) {
      Vector part;
      if (!read_bias(constant(node, i + 1), outputs, part)) {
        refuse(node, "its input " + std::to_string(i + 1) + " does not fit", "export the model again");
      }
      parts[static_cast<std::size_t>(i)] = part.cast<double>();
    }
    const double epsilon = static_cast<double>(real(node, "epsilon", 1e-5F));
    const VectorD factor = parts[0].array() / (parts[3].array() + epsilon).sqrt();
    const VectorD bias =
        weights.bias.size() != 0 ? VectorD(weights.bias.cast<double>()) : VectorD::Zero(outputs);
    weights.weight = (factor.asDiagonal() * weights.weight.cast<double>()).cast<float>();
    weights.bias = (factor.cwiseProduct(bias - parts[2]) + parts[1]).cast<float>();
    notes_.push_back(title(node) + " is folded into the layer before it");
  }

  std::string path_;
  const OnnxOptions& options_;
  ::onnx::ModelProto model_;
  onnx_io::Constants constants_;
  std::map<std::string, Runtime> runtime_;
  std::map<std::string, std::vector<int>> readers_;
  std::vector<bool> needed_;
  std::vector<bool> done_;  ///< folded into something else
  std::vector<std::string> notes_;
  Network* network_ = nullptr;
};

}  // namespace

OnnxNetwork import_onnx(const std::string& path, const OnnxOptions& options) {
  return Importer(path, options).run();
}

}  // namespace temblor
