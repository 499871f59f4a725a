#include "weights.hpp"

#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor::keras {
namespace {

const std::string damaged = "save the model again";

hdf5::Group weights_of(const hdf5::File& file) {
  if (!file.has("model_weights") || file.is_dataset("model_weights")) {
    input_error("'" + file.file_name() + "'", "it has no group 'model_weights'",
                "save the whole model: model.save('model.h5')");
  }
  return file.group("model_weights");
}

/// A list of names, which Keras cuts into NAME0, NAME1, ... where it is too long for one attribute.
std::vector<std::string> names_in(const hdf5::Group& group, const std::string& attribute) {
  if (auto names = group.texts(attribute)) return *names;
  std::vector<std::string> all;
  for (int part = 0;; ++part) {
    const auto names = group.texts(attribute + std::to_string(part));
    if (!names) break;
    all.insert(all.end(), names->begin(), names->end());
  }
  return all;
}

std::string sizes(const hdf5::Dims& dims) {
  std::vector<std::string> parts;
  for (const auto dim : dims) parts.push_back(std::to_string(dim));
  return "[" + join(parts, " x ") + "]";
}

}  // namespace

WeightFile::WeightFile(const hdf5::File& file) : root_(weights_of(file)) {}

const std::map<std::string, std::string>& WeightFile::paths(const LayerSpec& layer) {
  const auto [found, fresh] = paths_.emplace(layer.name, std::map<std::string, std::string>());
  if (!fresh) return found->second;
  if (!root_.has(layer.group) || root_.is_dataset(layer.group)) return found->second;
  auto names = groups_.find(layer.group);
  if (names == groups_.end()) {
    names = groups_.emplace(layer.group, names_in(root_.group(layer.group), "weight_names")).first;
  }
  const bool inside = layer.name != layer.own;
  for (const std::string& name : names->second) {
    // "conv1/kernel:0" of Keras 2, "model/conv1/kernel" of Keras 3; the layer counts inside a model alone.
    auto parts = split(name, '/');
    std::string parameter = parts.back().substr(0, parts.back().find(':'));
    if (inside && (parts.size() < 2 || parts[parts.size() - 2] != layer.own)) continue;
    if (!found->second.emplace(parameter, layer.group + "/" + name).second) {
      layer.settings.refuse("it has two parameters named '" + parameter + "'",
                            "give the layers of models inside the model names of their own");
    }
  }
  return found->second;
}

bool WeightFile::has(const LayerSpec& layer, const std::string& parameter) {
  return paths(layer).contains(parameter);
}

Tensor WeightFile::read(const LayerSpec& layer, const std::string& parameter, const hdf5::Dims& dims) {
  const auto& known = paths(layer);
  const auto found = known.find(parameter);
  if (found == known.end() || !root_.is_dataset(found->second)) {
    std::vector<std::string> names;
    for (const auto& one : known) names.push_back(one.first);
    layer.settings.refuse("its parameter '" + parameter + "' is missing" +
                              (names.empty() ? std::string(": the file has none of its parameters")
                                             : ", it has " + join(names, ", ")),
                          damaged);
  }
  const auto stored = root_.dims(found->second);
  if (stored != dims) {
    layer.settings.refuse(
        "its " + parameter + " is " + sizes(stored) + ", its settings ask for " + sizes(dims), damaged);
  }
  Tensor tensor{dims, root_.read<float>(found->second)};
  for (const float value : tensor.values) {
    if (!std::isfinite(value)) {
      layer.settings.refuse("its " + parameter + " has the value " + to_text(value),
                            "repair or retrain the model");
    }
  }
  return tensor;
}

}  // namespace temblor::keras
