#include "scaling.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/base/text.hpp>

namespace temblor::keras {
namespace {

/// Layers that hand values on as they are, and may stand before a Rescaling.
bool passes(const std::string& kind) {
  return kind.starts_with("Random") || kind == "GaussianNoise" || kind == "Dropout";
}

double at(const std::vector<double>& list, std::size_t i) {
  return list.size() == 1 ? list[0] : list[i];
}

}  // namespace

InputLayers::InputLayers(const Graph& graph, WeightFile& weights, const Value& input, bool channels_last,
                         bool replaced, std::vector<std::string>& notes)
    : input_(input), channels_last_(channels_last), skipped_(graph.calls.size(), false) {
  std::vector<std::vector<int>> readers(graph.calls.size());
  for (std::size_t call = 0; call < graph.calls.size(); ++call) {
    for (const int from : graph.calls[call].inputs) {
      readers[static_cast<std::size_t>(from)].push_back(static_cast<int>(call));
    }
  }
  for (std::size_t call = 0; readers[call].size() == 1;) {
    call = static_cast<std::size_t>(readers[call][0]);
    const LayerSpec& layer = *graph.calls[call].layer;
    const bool scales = layer.kind == "Rescaling" || layer.kind == "Normalization";
    if (!scales && !passes(layer.kind)) break;
    if (!scales) continue;
    skipped_[call] = true;
    const std::string name = "layer '" + layer.name + "' (" + layer.kind + ")";
    if (replaced) {
      notes.push_back(name + " is left out: the scaling asked for takes its place");
      continue;
    }
    layer.kind == "Rescaling" ? rescale(layer) : standardise(layer, weights);
    last_ = &layer;
    notes.push_back(name + " is the input scaling of the network");
  }
}

void InputLayers::rescale(const LayerSpec& layer) {
  compose(layer, layer.settings.reals("scale", 1), layer.settings.reals("offset", 0));
}

void InputLayers::standardise(const LayerSpec& layer, WeightFile& weights) {
  const Settings& set = layer.settings;
  if (set.flag("invert", false)) set.refuse("it is inverted", "use a plain one");
  const bool whole = !set.has("axis");
  const auto axes = set.reals("axis", -1);
  const auto rank = static_cast<double>(input_.dims.size());
  const bool first = input_.dims.size() == 3 && !channels_last_;
  if (!whole && (axes.size() != 1 || (axes[0] < 0 ? axes[0] + rank + 1 : axes[0]) != (first ? 1 : rank))) {
    set.refuse("its axis is not that of the channels", "normalise channels");
  }
  const auto channels = static_cast<std::uint64_t>(first ? input_.dims.front() : input_.dims.back());
  const auto numbers = [&](const std::string& name) -> std::vector<double> {
    if (set.has(name)) return set.reals(name, 0);
    const Tensor tensor = weights.read(layer, name, whole ? hdf5::Dims{} : hdf5::Dims{channels});
    return {tensor.values.begin(), tensor.values.end()};
  };
  std::vector<double> offset = numbers("mean");
  std::vector<double> gain = numbers("variance");
  if (offset.size() != gain.size()) set.refuse("its mean and variance differ in size", "repair the model");
  for (std::size_t i = 0; i < gain.size(); ++i) {
    if (!(gain[i] >= 0)) set.refuse("its variance is " + to_text(gain[i]), "repair the model");
    gain[i] = 1 / std::max(std::sqrt(gain[i]), 1e-7);
    offset[i] *= -gain[i];
  }
  compose(layer, gain, offset);
}

void InputLayers::compose(const LayerSpec& layer, const std::vector<double>& gain,
                          const std::vector<double>& offset) {
  const std::size_t rank = input_.dims.size();
  const auto channels =
      static_cast<std::size_t>(rank == 1 && input_.image == Image{} ? input_.dims[0]
                               : rank != 3                          ? 1
                                           : (channels_last_ ? input_.dims[2] : input_.dims[0]));
  const std::size_t count = std::max({gain_.size(), gain.size(), offset.size()});
  for (const std::size_t size : {gain.size(), offset.size(), count}) {
    if (size == 1 || size == channels) continue;
    layer.settings.refuse("it has " + std::to_string(size) + " numbers for an image of " +
                              std::to_string(channels) + " channels",
                          "give one, or one a channel");
  }
  std::vector<double> after(count);
  std::vector<double> shift(count);
  for (std::size_t i = 0; i < count; ++i) {
    after[i] = at(gain_, i) * at(gain, i);
    shift[i] = at(offset_, i) * at(gain, i) + at(offset, i);
  }
  gain_ = std::move(after);
  offset_ = std::move(shift);
}

std::optional<InputScaling> InputLayers::scaling() const {
  if (last_ == nullptr) return std::nullopt;
  InputScaling scaling;
  const bool same = std::all_of(gain_.begin(), gain_.end(), [&](double gain) { return gain == gain_[0]; });
  scaling.scale = same ? gain_[0] : 1;
  scaling.mean.clear();
  scaling.std.clear();
  for (std::size_t i = 0; i < gain_.size(); ++i) {
    // x = (raw - mean) / std, or x = raw * scale - mean.
    if (gain_[i] == 0 || (!same && gain_[i] < 0)) {
      last_->settings.refuse("a factor of the input is " + to_text(gain_[i]), "use factors above 0");
    }
    scaling.mean.push_back(same ? 0 - offset_[i] : 0 - offset_[i] / gain_[i]);
    if (!same) scaling.std.push_back(1 / gain_[i]);
  }
  if (same) scaling.std = {1};
  if (std::all_of(scaling.mean.begin(), scaling.mean.end(), [&](double m) { return m == scaling.mean[0]; })) {
    scaling.mean.resize(1);
  }
  return scaling;
}

}  // namespace temblor::keras
