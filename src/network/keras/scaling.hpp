#pragma once

#include "builder.hpp"
#include "weights.hpp"

#include <optional>

#include <temblor/network/keras.hpp>

namespace temblor::keras {

/// What the Rescaling and Normalization layers do that stand between the image and everything else: x = raw *
/// gain + offset, channel by channel.
class InputLayers {
 public:
  /// `input`: the image as Keras sees it. With `replaced` the layers are skipped: a scaling asked for takes
  /// their place.
  InputLayers(const Graph& graph, WeightFile& weights, const Value& input, bool channels_last, bool replaced,
              std::vector<std::string>& notes);

  /// None when there are no such layers. Bad-input error where no input scaling does what they do.
  std::optional<InputScaling> scaling() const;
  /// By call: the scaling does what it does.
  const std::vector<bool>& skipped() const { return skipped_; }

 private:
  void rescale(const LayerSpec& layer);
  void standardise(const LayerSpec& layer, WeightFile& weights);
  void compose(const LayerSpec& layer, const std::vector<double>& gain, const std::vector<double>& offset);

  const Value& input_;
  bool channels_last_;
  std::vector<double> gain_{1};  ///< one, or one a channel; offset_ as many
  std::vector<double> offset_{0};
  const LayerSpec* last_ = nullptr;
  std::vector<bool> skipped_;
};

}  // namespace temblor::keras
