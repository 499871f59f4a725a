#include "file.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/safetensors.hpp>

namespace temblor {
namespace {

using safetensors::Dims;
using safetensors::text_of;

/// "layer1.0.conv1" of "/layer1/layer1.0/conv1/Conv", which is how torch names the node of an ONNX model; the
/// name itself where it is of another form.
std::string torch_name(const std::string& name) {
  if (!name.starts_with('/')) return name;
  auto parts = split(name.substr(1), '/');
  if (parts.size() < 2) return name;
  parts.pop_back();
  std::string path;
  for (const std::string& part : parts) {
    path = path.empty() || part.starts_with(path + ".") ? part : path + "." + part;
  }
  return path;
}

/// Puts the tensors of a file into the layers of a network.
class Loader {
 public:
  Loader(const std::string& path, const Network& network) : path_(path), file_(path), network_(network) {}

  SafetensorsNetwork run(const std::vector<std::pair<std::string, std::string>>& renamed) {
    name_layers(renamed);
    std::vector<Weights> all;
    for (int layer = 0; layer < network_.layers(); ++layer) all.push_back(read_layer(layer));
    refuse_extra();
    // Laid out anew: a scale layer may gain a bias.
    Network filled(network_.input(), network_.scaling());
    for (const Network::Node& node : network_.nodes()) {
      filled.add(node.layer,
                 node.weights < 0 ? Weights{} : std::move(all[static_cast<std::size_t>(node.weights)]),
                 node.inputs, node.name);
    }
    SafetensorsNetwork result{std::move(filled), std::move(notes_)};
    if (!exact_) result.notes.push_back("F64 values are rounded to 32-bit floats");
    return result;
  }

 private:
  void name_layers(const std::vector<std::pair<std::string, std::string>>& renamed) {
    std::vector<std::string> layers;
    for (int layer = 0; layer < network_.layers(); ++layer) {
      layers.push_back(network_.layer_name(layer));
      const bool direct = file_.entries().contains(layers.back() + ".weight");
      names_.push_back(direct ? layers.back() : torch_name(layers.back()));
    }
    for (const auto& [from, to] : renamed) {
      const auto found = std::find(layers.begin(), layers.end(), to);
      if (found == layers.end()) unknown_name("layer with weights", to, layers);
      names_[static_cast<std::size_t>(found - layers.begin())] = from;
    }
  }

  std::string layer_title(int layer) const { return "layer '" + network_.layer_name(layer) + "'"; }

  /// The sizes that torch gives a layer's weight.
  Dims weight_dims(int layer) const {
    const Network::Node& node = network_.nodes()[static_cast<std::size_t>(network_.node_of(layer))];
    const Matrix& weight = network_.weights(layer).weight;
    const auto rows = static_cast<std::uint64_t>(weight.rows());
    const auto columns = static_cast<std::uint64_t>(weight.cols());
    if (node.layer->kind() == "scale") return {rows};
    if (node.layer->kind() != "conv2d") return {rows, columns};
    const auto kernel = node.layer->options().at("kernel");
    const auto height = static_cast<std::uint64_t>(kernel[0]);
    const auto width = static_cast<std::uint64_t>(kernel[1]);
    return {rows, columns / (height * width), height, width};
  }

  std::vector<float> read(int layer, const std::string& part, const Dims& dims) {
    const std::string name = names_[static_cast<std::size_t>(layer)] + "." + part;
    const auto found = file_.entries().find(name);
    if (found == file_.entries().end()) refuse_missing(layer, name);
    if (found->second.dims != dims) {
      input_error(file_.title(name),
                  "its shape is " + text_of(found->second.dims) + ", " + layer_title(layer) + " needs " +
                      text_of(dims),
                  "give weights of this architecture");
    }
    used_.insert(name);
    return file_.read(name, exact_);
  }

  [[noreturn]] void refuse_missing(int layer, const std::string& name) const {
    std::vector<std::string> free;
    for (const auto& entry : file_.entries()) {
      if (!used_.contains(entry.first)) free.push_back(entry.first);
    }
    const std::string near = nearest(name, free);
    const std::string shown =
        join({free.begin(), free.begin() + std::min<std::ptrdiff_t>(8, std::ssize(free))}, ", ");
    input_error(layer_title(layer), "'" + path_ + "' has no tensor '" + name + "'",
                (near.empty() ? "it has " + shown + (free.size() > 8 ? ", ..." : "")
                              : "did you mean '" + near + "'?") +
                    "; where names differ: --rename NAME=" + network_.layer_name(layer));
  }

  Weights read_layer(int layer) {
    const Weights& old = network_.weights(layer);
    const auto rows = static_cast<std::uint64_t>(old.weight.rows());
    const auto weight = read(layer, "weight", weight_dims(layer));
    Weights weights{Eigen::Map<const Matrix>(weight.data(), old.weight.rows(), old.weight.cols()), {}};
    const std::string& name = names_[static_cast<std::size_t>(layer)];
    const bool scale =
        network_.nodes()[static_cast<std::size_t>(network_.node_of(layer))].layer->kind() == "scale";
    // Whoever made the network may have left out biases that were all 0 there.
    if (old.bias.size() != 0 || (scale && file_.entries().contains(name + ".bias"))) {
      const auto bias = read(layer, "bias", {rows});
      weights.bias = Eigen::Map<const Vector>(bias.data(), old.weight.rows());
    }
    if (scale && file_.entries().contains(name + ".running_var")) fold_statistics(layer, weights);
    if (network_.codes(layer) != nullptr) {
      notes_.push_back(layer_title(layer) + " held codes in " + network_.codes(layer)->format->name +
                       "; it now has the file's floats");
    }
    return weights;
  }

  void fold_statistics(int layer, Weights& weights) {
    const std::string& name = names_[static_cast<std::size_t>(layer)];
    const Dims dims{static_cast<std::uint64_t>(weights.weight.rows())};
    const auto mean = read(layer, "running_mean", dims);
    const auto variance = read(layer, "running_var", dims);
    if (weights.bias.size() == 0) weights.bias = Vector::Zero(weights.weight.rows());
    for (Index i = 0; i < weights.weight.rows(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double spread = static_cast<double>(variance[at]) + 1e-5;
      if (!(spread > 0)) {
        input_error(file_.title(name + ".running_var"), "a value is " + to_text(variance[at]),
                    "repair or retrain the network");
      }
      const double gain = static_cast<double>(weights.weight(i, 0)) / std::sqrt(spread);
      weights.weight(i, 0) = static_cast<float>(gain);
      weights.bias[i] =
          static_cast<float>(static_cast<double>(weights.bias[i]) - gain * static_cast<double>(mean[at]));
    }
    notes_.push_back("running_mean and running_var of '" + name + "' are folded into its weight and bias");
  }

  void refuse_extra() {
    std::vector<std::string> wanted;
    for (int layer = 0; layer < network_.layers(); ++layer) {
      const std::string& name = names_[static_cast<std::size_t>(layer)];
      wanted.push_back(name + ".weight");
      if (network_.weights(layer).bias.size() != 0) wanted.push_back(name + ".bias");
    }
    bool counters = false;
    for (const auto& entry : file_.entries()) {
      const std::string& name = entry.first;
      if (used_.contains(name)) continue;
      if (name.ends_with(".num_batches_tracked")) {
        counters = true;
        continue;
      }
      const auto owner = std::find(names_.begin(), names_.end(), name.substr(0, name.rfind('.')));
      if (owner != names_.end() && name.ends_with(".bias")) {
        input_error(file_.title(name), layer_title(static_cast<int>(owner - names_.begin())) + " has no bias",
                    "give an architecture with biases");
      }
      const std::string near = nearest(name, wanted);
      input_error(file_.title(name), "no layer of the network takes it",
                  near.empty() ? "give the architecture that these weights are of"
                               : "the nearest name is '" + near + "'");
    }
    if (counters) notes_.push_back("num_batches_tracked is left out: it plays no part in inference");
  }

  std::string path_;
  safetensors::File file_;
  const Network& network_;
  std::vector<std::string> names_;  ///< in the file, by layer
  std::set<std::string> used_;
  std::vector<std::string> notes_;
  bool exact_ = true;
};

}  // namespace

bool is_safetensors(const std::string& path) {
  if (std::filesystem::path(path).extension() == ".safetensors") return true;
  std::ifstream in(path, std::ios::binary);
  std::uint64_t length = 0;
  char brace = 0;
  in.read(reinterpret_cast<char*>(&length), sizeof length);
  in.get(brace);
  return in && length >= 2 && length <= safetensors::most_header && brace == '{';
}

SafetensorsNetwork import_safetensors(const std::string& path, const Network& network,
                                      const std::vector<std::pair<std::string, std::string>>& renamed) {
  return Loader(path, network).run(renamed);
}

}  // namespace temblor
