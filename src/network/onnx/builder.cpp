#include "builder.hpp"

#include "operators.hpp"

#include <algorithm>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor::onnx_io {

Builder::Builder(const Model& model, const OnnxOptions& options)
    : model_(model), options_(options), constants_(model.constants()), network_(begin()) {}

Network Builder::begin() {
  const Shape shape = turned_shape(options_.input ? *options_.input : model_.shape());
  values_[model_.image().name()] = {-1, {shape.dims.begin(), shape.dims.end()}};
  try {
    return Network(shape, options_.scaling ? *options_.scaling : model_.scaling(shape));
  } catch (const Error& error) {
    const Exit code = options_.scaling || options_.input ? Exit::usage : error.code();
    throw Error(code, "'" + model_.path() + "': " + error.what(), "", "");
  }
}

/// Images of rows, columns and channels that the graph turns at once are taken with the channels first, as
/// datasets have them.
Shape Builder::turned_shape(Shape shape) {
  if (shape.dims.size() != 3 || options_.input || model_.own()) return shape;
  const auto readers = model_.readers(model_.image().name());
  const bool turned = std::all_of(readers.begin(), readers.end(), [&](int reader) {
    return reader >= 0 && model_.graph().node(reader).op_type() == "Transpose" &&
           integers(model_.graph().node(reader), "perm", {}) == Dims{0, 3, 1, 2};
  });
  if (!turned || readers.empty()) return shape;
  std::rotate(shape.dims.begin(), shape.dims.end() - 1, shape.dims.end());
  for (const int reader : readers) {
    const Node& node = model_.graph().node(reader);
    note(node, "is left out: images are taken as channels x height x width");
    give(node, {-1, {shape.dims.begin(), shape.dims.end()}});
    skip(reader);
  }
  return shape;
}

OnnxNetwork Builder::run() {
  const auto& graph = model_.graph();
  for (int i = 0; i < graph.node_size(); ++i) {
    if (model_.needed(i) && !skipped_.contains(i)) convert(graph.node(i));
  }
  const auto found = values_.find(model_.output());
  if (found == values_.end() || found->second.node + 1 != static_cast<int>(network_.nodes().size()) ||
      network_.layers() == 0) {
    model_.refuse(
        "its output '" + model_.output() + "' is not computed from the image by layers with weights",
        "export a classifier");
  }
  const Dims& dims = found->second.dims;
  if (dims.empty() || product(dims) != *std::max_element(dims.begin(), dims.end())) {
    model_.refuse("its output is " + sizes_text(dims) + " an image", "a classifier has a list of logits");
  }
  if (network_.classes() < 2) model_.refuse("its output has one value", "a classifier has at least two");
  return {std::move(network_), std::move(notes_)};
}

void Builder::convert(const Node& node) {
  if (!node.domain().empty() && node.domain() != "ai.onnx") {
    refuse(node, "its operator is of domain '" + node.domain() + "'", "export it with standard operators");
  }
  if (node.output_size() < 1) refuse(node, "it has no output", "export the model again");
  if (constants_.contains(node.output(0)) || fold(node, model_.path(), constants_)) return;
  for (const Operator& entry : operators()) {
    if (entry.op == node.op_type()) return entry.convert(*this, node);
  }
  refuse(node, "the operator is not supported", "supported are " + supported_operators());
}

const Tensor* Builder::find_constant(const Node& node, int input) const {
  return has_input(node, input) ? constants_.find(node.input(input)) : nullptr;
}

const Tensor& Builder::constant(const Node& node, int input) const {
  const Tensor* found = find_constant(node, input);
  if (found == nullptr) {
    refuse(node, "its input " + std::to_string(input) + " is no constant",
           "only the image may run through the network");
  }
  return *found;
}

Tensor Builder::repeated(const Node& node, int input, const Dims& dims) const {
  const Folding folding{node, model_.path(), constants_, {}};
  const Tensor& tensor = constant(node, input);
  if (!tensor.real) folding.refuse("its constant is not real");
  Dims batch{1};
  batch.insert(batch.end(), dims.begin(), dims.end());
  return broadcast(folding, tensor, batch);
}

Dims Builder::wholes(const Node& node, int input, const std::string& attribute_name) const {
  if (!has_input(node, input)) return integers(node, attribute_name, {});
  const Tensor& tensor = constant(node, input);
  if (tensor.real) refuse(node, "its input " + std::to_string(input) + " is not whole", "export it again");
  return tensor.whole;
}

bool Builder::moves(const Node& node, int input) const {
  return has_input(node, input) && values_.contains(node.input(input));
}

const Value& Builder::value(const Node& node, int input) const {
  const Value& value = value_or_codes(node, input);
  if (value.grid) {
    refuse(node, "it works on quantised activations", "export it with DequantizeLinear before the node");
  }
  return value;
}

const Value& Builder::value_or_codes(const Node& node, int input) const {
  const auto found = has_input(node, input) ? values_.find(node.input(input)) : values_.end();
  if (found == values_.end()) {
    refuse(node, "its input " + std::to_string(input) + " does not depend on the image",
           "this form of the operator is not supported");
  }
  return found->second;
}

int Builder::shaped(const Node& node, const Value& value) {
  const Shape& has =
      value.node < 0 ? network_.input() : network_.nodes()[static_cast<std::size_t>(value.node)].shape;
  if (std::equal(has.dims.begin(), has.dims.end(), value.dims.begin(), value.dims.end())) return value.node;
  if (value.dims.size() == 1) return add(node, "flatten", {}, {value.node}).node;
  return add(node, "reshape", {{"shape", {value.dims.begin(), value.dims.end()}}}, {value.node}).node;
}

int Builder::picture(const Node& node, const Value& value) {
  if (value.dims.size() != 3) {
    refuse(node, "each image is " + sizes_text(value.dims) + " before it",
           "it works on channels x height x width");
  }
  return shaped(node, value);
}

Value Builder::add(const Node& node, const std::string& kind, const LayerOptions& options,
                   std::vector<int> inputs, Parameters parameters) {
  try {
    const int index = network_.add(
        make_layer(kind, options), std::move(parameters.weights), std::move(inputs),
        free_name(node.name().empty() ? kind + std::to_string(network_.nodes().size()) : node.name()));
    const auto& made = network_.nodes()[static_cast<std::size_t>(index)];
    if (parameters.coded != nullptr) store_codes(node, made.weights, *parameters.coded);
    return {index, {made.shape.dims.begin(), made.shape.dims.end()}};
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.starts_with("node '")) throw;
    throw Error(Exit::bad_input, title(node) + " in '" + model_.path() + "': " + what, "", "");
  }
}

/// Several layers may come of one node, and nodes may share a name.
std::string Builder::free_name(const std::string& wanted) {
  std::string name = wanted;
  while (!names_.emplace(name, 1).second) name = wanted + "." + std::to_string(++names_[wanted]);
  return name;
}

void Builder::note_once(const std::string& sentence) {
  if (std::find(notes_.begin(), notes_.end(), sentence) == notes_.end()) notes_.push_back(sentence);
}

void Builder::charge(const Node& node, const Dims& entries) {
  constexpr std::int64_t most = std::int64_t{1} << 25;
  if (!within(entries, std::min(most, std::max<std::int64_t>(room_, 1)))) {
    refuse(node, "it works on " + sizes_text(entries) + " values of an image",
           "that is more than this program has memory for: use smaller images");
  }
  room_ -= product(entries);
}

}  // namespace temblor::onnx_io
