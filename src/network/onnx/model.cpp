#include "model.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::onnx_io {
namespace {

constexpr std::int64_t least_opset = 7;
constexpr std::int64_t most_opset = 17;

}  // namespace

Model::Model(std::string path) : path_(std::move(path)) {
  parse();
  check();
  connect();
  find_image();
}

void Model::refuse(const std::string& why, const std::string& cure) const {
  input_error("'" + path_ + "'", why, cure);
}

void Model::parse() {
  std::ifstream in(path_, std::ios::binary);
  if (!in || std::filesystem::is_directory(path_)) {
    input_error("cannot open '" + path_ + "'", "no such file, or not readable", "check the path");
  }
  google::protobuf::io::IstreamInputStream stream(&in);
  google::protobuf::io::CodedInputStream coded(&stream);
  if (!proto_.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage() || !proto_.has_graph()) {
    refuse("it is no ONNX model, or damaged", "export the model again");
  }
}

void Model::check() const {
  std::int64_t opset = 0;
  for (const auto& one : proto_.opset_import()) {
    if (one.domain().empty() || one.domain() == "ai.onnx") opset = one.version();
  }
  if (opset < least_opset || opset > most_opset) {
    refuse(
        "its opset is " + std::to_string(opset),
        "export it with an opset from " + std::to_string(least_opset) + " to " + std::to_string(most_opset));
  }
  if (graph().output_size() != 1) {
    refuse("it has " + std::to_string(graph().output_size()) + " outputs", "export the logits alone");
  }
}

void Model::connect() {
  std::set<std::string> known;
  for (const auto& tensor : graph().initializer()) known.insert(tensor.name());
  for (const auto& input : graph().input()) known.insert(input.name());
  std::map<std::string, int> maker;
  for (int i = 0; i < graph().node_size(); ++i) {
    const auto& node = graph().node(i);
    for (const auto& input : node.input()) {
      if (!input.empty() && !known.contains(input)) {
        onnx_io::refuse(node, path_, "nothing before it gives its input '" + input + "'",
                        "the graph is damaged: export the model again");
      }
    }
    for (const auto& output : node.output()) {
      if (output.empty()) continue;
      if (!known.insert(output).second) {
        onnx_io::refuse(node, path_, "'" + output + "' is given twice",
                        "the graph is damaged: export the model again");
      }
      maker[output] = i;
    }
  }
  needed_.assign(static_cast<std::size_t>(graph().node_size()), false);
  std::vector<std::string> open{output()};
  while (!open.empty()) {
    const auto found = maker.find(open.back());
    open.pop_back();
    if (found == maker.end() || needed(found->second)) continue;
    needed_[static_cast<std::size_t>(found->second)] = true;
    for (const auto& input : graph().node(found->second).input()) open.push_back(input);
  }
  readers_[output()].push_back(-1);
  for (int i = 0; i < graph().node_size(); ++i) {
    if (!needed(i)) continue;
    for (const auto& input : graph().node(i).input()) readers_[input].push_back(i);
  }
}

void Model::find_image() {
  std::set<std::string> stored;
  for (const auto& tensor : graph().initializer()) stored.insert(tensor.name());
  for (const auto& input : graph().input()) {
    if (stored.contains(input.name())) continue;
    if (image_ != nullptr) {
      refuse("it has more than one input: '" + image_->name() + "' and '" + input.name() + "'",
             "export a network of one image");
    }
    image_ = &input;
  }
  if (image_ == nullptr) refuse("it has no input", "export a network of one image");
}

std::vector<int> Model::readers(const std::string& value) const {
  const auto found = readers_.find(value);
  return found == readers_.end() ? std::vector<int>{} : found->second;
}

int Model::only_reader(const std::string& value) const {
  const auto all = readers(value);
  return all.size() == 1 ? all[0] : -1;
}

Constants Model::constants() const {
  Constants constants;
  const auto folder = std::filesystem::path(path_).parent_path().string();
  for (const auto& tensor : graph().initializer()) {
    // Of what is not read, a type that cannot be read may stay.
    if (readers_.contains(tensor.name()))
      constants.store(tensor.name(),
                      read_tensor(tensor, folder, "initializer '" + tensor.name() + "' in '" + path_ + "'"));
  }
  for (int i = 0; i < graph().node_size(); ++i) {
    if (needed(i)) fold(graph().node(i), path_, constants);
  }
  return constants;
}

Shape Model::shape() const {
  const auto& dims = image_->type().tensor_type().shape().dim();
  const std::string what = "input '" + image_->name() + "' in '" + path_ + "'";
  using ::onnx::TensorProto;
  const int type = image_->type().tensor_type().elem_type();
  const bool real = type == TensorProto::UNDEFINED || type == TensorProto::FLOAT ||
                    type == TensorProto::DOUBLE || type == TensorProto::FLOAT16 ||
                    type == TensorProto::BFLOAT16;
  if (!real) {
    input_error(what, "its type is " + std::to_string(type) + ", whole numbers",
                "export a network of real inputs: raw values are scaled before it");
  }
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

InputScaling Model::scaling(const Shape& shape) const {
  InputScaling scaling;
  for (const auto& property : proto_.metadata_props()) {
    const std::string& key = property.key();
    if (key != "temblor.scale" && key != "temblor.mean" && key != "temblor.std") continue;
    const std::string what = "metadata '" + key + "' in '" + path_ + "'";
    std::vector<double> values;
    try {
      for (const auto& word : split(property.value(), ',')) values.push_back(parse_real(word, what));
    } catch (const Error& error) {
      throw Error(Exit::bad_input, error.what(), "", "");
    }
    const Index channels = shape.dims.size() == 3 ? shape.dims[0] : shape.size();
    const bool fits =
        values.size() == 1 || (key != "temblor.scale" && static_cast<Index>(values.size()) == channels);
    const bool possible = std::all_of(values.begin(), values.end(), [&](double value) {
      return std::isfinite(value) &&
             (key == "temblor.mean" || (key == "temblor.std" ? value > 0 : value != 0));
    });
    if (!fits || !possible) {
      input_error(what, "it is '" + property.value() + "', images are " + shape.text(),
                  "give --scale, --mean and --std");
    }
    if (key == "temblor.scale") scaling.scale = values[0];
    if (key == "temblor.mean") scaling.mean = values;
    if (key == "temblor.std") scaling.std = values;
  }
  return scaling;
}

}  // namespace temblor::onnx_io
