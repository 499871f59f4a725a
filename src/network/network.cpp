#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>

namespace temblor {
namespace {

std::string reals_text(const std::vector<double>& values) {
  std::vector<std::string> parts;
  for (const double value : values) parts.push_back(to_text(value));
  return join(parts, ",");
}

template <class Values>
void refuse_non_finite(const Values& values, const std::string& what) {
  for (Index i = 0; i < values.size(); ++i) {
    const float value = values.data()[i];
    if (!(value - value == 0.0F)) {
      input_error(what + ": entry " + std::to_string(i) + " is " + to_text(value), "not a finite number",
                  "repair or retrain the network");
    }
  }
}

/// One number, or one a channel: of a picture its first size, else any number of equal parts.
void check_scaling(const InputScaling& scaling, const Shape& input) {
  const std::size_t channels = std::max(scaling.mean.size(), scaling.std.size());
  const auto given = static_cast<Index>(channels);
  const bool fits = given == 1 || (input.dims.size() == 3 ? given == input.dims[0]
                                                          : given > 0 && input.size() % given == 0);
  for (const auto* list : {&scaling.mean, &scaling.std}) {
    if (fits && (list->size() == 1 || list->size() == channels)) continue;
    input_error("input scaling " + scaling.text(), "images are " + input.text(),
                "give one mean and std, or one a channel");
  }
  const auto impossible = [](double value) { return !std::isfinite(value); };
  if (impossible(scaling.scale) || scaling.scale == 0 ||
      std::any_of(scaling.mean.begin(), scaling.mean.end(), impossible) ||
      std::any_of(scaling.std.begin(), scaling.std.end(),
                  [&](double value) { return impossible(value) || value <= 0; })) {
    input_error("input scaling " + scaling.text(), "not finite, or it divides by 0 or makes all images alike",
                "give finite numbers, a scale other than 0 and std above 0");
  }
}

/// Of one image, in any layer and in all of them: far beyond any picture. A few bytes of a file must not ask
/// for gigabytes.
constexpr Index most_values = Index{1} << 26U;
constexpr Index most_in_all = Index{1} << 28U;

/// Number of values of an image of this shape; bad-input error above `most_values`.
Index values_of(const Shape& shape, const std::string& what) {
  Index values = 1;
  for (const Index dim : shape.dims) {
    if (dim > most_values / std::max<Index>(values, 1)) {
      input_error(what + " is " + shape.text(), "above 2^26 values an image", "correct its sizes");
    }
    values *= dim;
  }
  return values;
}

template <class Values>
void digest(Sha256& sha, const Values& values) {
  sha.add(std::as_bytes(std::span(values.data(), static_cast<std::size_t>(values.size()))));
}

}  // namespace

std::string InputScaling::text() const {
  return "x = (raw * " + to_text(scale) + " - " + reals_text(mean) + ") / " + reals_text(std);
}

Network::Network(Shape input, InputScaling scaling) : input_(std::move(input)), scaling_(std::move(scaling)) {
  if (input_.dims.empty() ||
      std::any_of(input_.dims.begin(), input_.dims.end(), [](Index dim) { return dim < 1; })) {
    input_error("input shape '" + input_.text() + "'", "not a shape", "give one to three positive sizes");
  }
  values_of(input_, "input shape");
  check_scaling(scaling_, input_);
}

int Network::add(std::shared_ptr<const Layer> layer, Weights weights, std::vector<int> inputs,
                 std::string name) {
  const int index = static_cast<int>(nodes_.size());
  if (inputs.empty()) inputs = {index - 1};
  if (name.empty()) name = std::string(layer->kind()) + std::to_string(index);
  std::vector<Shape> shapes;
  for (const int input : inputs) {
    if (input < -1 || input >= index) {
      input_error("layer " + std::to_string(index) + " ('" + name + "') takes layer " + std::to_string(input),
                  "not an earlier one", "list layers in topological order; -1 is the image");
    }
    shapes.push_back(input < 0 ? input_ : nodes_[static_cast<std::size_t>(input)].shape);
  }
  for (const Node& node : nodes_) {
    if (node.name == name) input_error("two layers are named '" + name + "'", "", "give each its own name");
  }
  const bool weighted = layer->weighted();
  Shape shape;
  try {
    if (auto placed = layer->placed(shapes)) layer = std::move(placed);
    shape = layer->output_shape(shapes, weighted ? &weights : nullptr);
    Index values = values_of(shape, "its output");
    for (const Node& node : nodes_) values += node.shape.size();
    if (values > most_in_all)
      input_error("all layers so far have " + std::to_string(values) + " values an image", "above 2^28",
                  "make the network smaller");
    if (weighted) {
      refuse_non_finite(weights.weight, "weight");
      refuse_non_finite(weights.bias, "bias");
    }
  } catch (const Error& error) {
    throw Error(error.code(), "layer " + std::to_string(index) + " ('" + name + "'): " + error.what(), "",
                "");
  }
  nodes_.push_back(
      {std::move(name), std::move(layer), std::move(inputs), weighted ? layers() : -1, std::move(shape)});
  if (weighted) {
    weights_.push_back(std::make_shared<const Weights>(std::move(weights)));
    codes_.push_back(nullptr);
  }
  return index;
}

Index Network::classes() const {
  ensure(!nodes_.empty(), "a network has layers");
  return nodes_.back().shape.size();
}

int Network::node_of(int layer) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].weights == layer) return static_cast<int>(i);
  }
  internal_error("network has no weighted layer " + std::to_string(layer));
}

const std::string& Network::layer_name(int layer) const {
  return nodes_[static_cast<std::size_t>(node_of(layer))].name;
}

Index Network::weight_count() const {
  Index count = 0;
  for (const auto& weights : weights_) count += weights->weight.size();
  return count;
}

Index Network::bias_count() const {
  Index count = 0;
  for (const auto& weights : weights_) count += weights->bias.size();
  return count;
}

Network Network::with(int layer, Weights weights) const {
  const Weights& old = this->weights(layer);
  ensure(weights.weight.rows() == old.weight.rows() && weights.weight.cols() == old.weight.cols() &&
             weights.bias.size() == old.bias.size(),
         "replaced parameters keep their shape");
  Network copy = *this;
  copy.weights_[static_cast<std::size_t>(layer)] = std::make_shared<const Weights>(std::move(weights));
  copy.codes_[static_cast<std::size_t>(layer)] = nullptr;
  return copy;
}

void Network::set_codes(int layer, Encoded codes) {
  Weights decoded = weights(layer);
  ensure(static_cast<Index>(codes.rows) == decoded.weight.rows() &&
             static_cast<Index>(codes.cols) == decoded.weight.cols() &&
             codes.codes.size() == codes.rows * codes.cols,
         "stored codes have the shape of the weights");
  for (std::size_t i = 0; i < codes.codes.size(); ++i) {
    const float value = codes.decode(i);
    if (!(value - value == 0.0F)) {
      input_error("code " + std::to_string(codes.codes[i]) + " of weight " + std::to_string(i) +
                      " of layer '" + layer_name(layer) + "' is " + to_text(value) + " in format " +
                      codes.format->name,
                  "not a finite number", "repair the codes or the scale");
    }
    decoded.weight.data()[i] = value;
  }
  weights_[static_cast<std::size_t>(layer)] = std::make_shared<const Weights>(std::move(decoded));
  codes_[static_cast<std::size_t>(layer)] = std::make_shared<const Encoded>(std::move(codes));
}

WeightView Network::view() const {
  WeightView view;
  for (const auto& weights : weights_) view.push_back(weights.get());
  return view;
}

std::string Network::id() const {
  Sha256 sha;
  sha.add("temblor network 1\n").add(input_.text()).add("\n").add(scaling_.text()).add("\n");
  for (const Node& node : nodes_) {
    sha.add(node.layer->kind()).add(" ").add(node.shape.text());
    for (const auto& [name, values] : node.layer->options()) sha.add(" " + name + "=" + reals_text(values));
    for (const int input : node.inputs) sha.add(" ").add(std::to_string(input));
    sha.add("\n");
  }
  for (const auto& weights : weights_) {
    digest(sha, weights->weight);
    sha.add("\n");
    digest(sha, weights->bias);
    sha.add("\n");
  }
  for (std::size_t layer = 0; layer < codes_.size(); ++layer) {
    if (!codes_[layer]) continue;
    const Encoded& codes = *codes_[layer];
    sha.add("codes " + std::to_string(layer) + " " + codes.format->name + "\n");
    sha.add(std::as_bytes(std::span(codes.codes)));
    sha.add(std::as_bytes(std::span(codes.scale)));
    sha.add(std::as_bytes(std::span(codes.zero_point)));
    sha.add("\n");
  }
  return sha.hex();
}

namespace {

constexpr std::size_t longest_chain = 16;  // nodes that a summary names one by one

std::string sizes_text(const std::vector<double>& sizes) {
  return sizes[0] == sizes[1] ? to_text(sizes[0]) : to_text(sizes[0]) + "x" + to_text(sizes[1]);
}

/// "conv2d 16@3x3/2", "max-pool 2x2", "dense 10", else the kind alone.
std::string node_text(const Network::Node& node) {
  const LayerOptions options = node.layer->options();
  std::string text(node.layer->kind());
  if (text == "dense") text += " " + node.shape.text();
  const auto kernel = options.find("kernel");
  if (kernel == options.end()) return text;
  text += node.weights < 0 ? " " : " " + std::to_string(node.shape.dims[0]) + "@";
  text += to_text(kernel->second[0]) + "x" + to_text(kernel->second[1]);
  const auto stride = options.find("stride");
  const bool one = stride == options.end() || stride->second == std::vector<double>{1, 1};
  return one ? text : text + "/" + sizes_text(stride->second);
}

}  // namespace

std::string Network::summary() const {
  std::string arch = input_.text();
  std::vector<std::string> parts;
  std::vector<std::string> kinds;
  std::vector<int> counts;
  bool chain = true;
  bool plain = true;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const std::string kind(node.layer->kind());
    chain = chain && node.inputs == std::vector<int>{static_cast<int>(i) - 1};
    plain = plain && (kind == "dense" || node.layer->elementwise() || node.layer->reshapes());
    parts.push_back(node_text(node));
    if (kind == "dense") arch += "-" + node.shape.text();
    const auto known = std::find(kinds.begin(), kinds.end(), kind);
    if (known == kinds.end()) counts.push_back(0);
    if (known == kinds.end()) kinds.push_back(kind);
    ++counts[static_cast<std::size_t>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin())];
  }
  const std::string biases = bias_count() == 0 ? "no biases" : "biases";
  if (chain && plain) {
    std::erase(kinds, "dense");
    return arch + (kinds.empty() ? "" : ", " + join(kinds, ", ")) + ", " + biases;
  }
  if (chain && nodes_.size() <= longest_chain)
    return input_.text() + ": " + join(parts, ", ") + "; " + biases;
  for (std::size_t k = 0; k < kinds.size(); ++k) kinds[k] = std::to_string(counts[k]) + " " + kinds[k];
  return input_.text() + ": " + std::to_string(nodes_.size()) + " layers (" + join(kinds, ", ") + ") to " +
         (nodes_.empty() ? "" : nodes_.back().shape.text()) + "; " + biases;
}

Network multilayer_perceptron(const std::string& arch, const std::string& activation, bool biases,
                              const InputScaling& scaling, const Shape& input) {
  const std::string form = "write layer sizes joined by '-', as in 784-128-64-32-10";
  std::vector<Index> sizes;
  for (const auto& part : split(arch, '-')) {
    sizes.push_back(static_cast<Index>(parse_integer(part, "architecture '" + arch + "'", 1, 1 << 24)));
  }
  if (sizes.size() < 2)
    usage_error("architecture '" + arch + "'", "at least an input and an output size", form);
  if (sizes.front() != input.size()) {
    usage_error("architecture '" + arch + "'", "images have " + std::to_string(input.size()) + " values",
                form);
  }
  const std::shared_ptr<const Layer> dense = make_layer("dense");
  const std::shared_ptr<const Layer> between = make_layer(activation);
  if (!between->elementwise()) usage_error("activation '" + activation + "'", "not element-wise", "use relu");
  Network network({{sizes.front()}}, scaling);
  for (std::size_t m = 1; m < sizes.size(); ++m) {
    Weights weights{Matrix::Zero(sizes[m], sizes[m - 1]), {}};
    if (biases) weights.bias = Vector::Zero(sizes[m]);
    network.add(dense, std::move(weights));
    if (m + 1 < sizes.size()) network.add(between);
  }
  return network;
}

}  // namespace temblor
