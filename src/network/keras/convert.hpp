#pragma once

#include "builder.hpp"
#include "weights.hpp"

namespace temblor::keras {

/// Turns the calls of a graph into nodes of a network.
class Converter {
 public:
  /// `skipped`: calls that hand on their input, because the input scaling does what they do. With
  /// `keep_norms` no BatchNormalization is folded.
  Converter(const Graph& graph, WeightFile& weights, Builder& builder, const std::vector<bool>& skipped,
            bool keep_norms, std::vector<std::string>& notes);

  /// All calls but the input's, whose value is `image`. Returns the output's value.
  Value run(Value image);

  /// The classes of layers, for messages.
  static const std::vector<std::string>& supported();

 private:
  using Member = Value (Converter::*)(int call);
  static const std::vector<std::pair<std::string, Member>>& table();

  const LayerSpec& layer(int call) const { return *graph_.calls[static_cast<std::size_t>(call)].layer; }
  const Settings& settings(int call) const { return layer(call).settings; }
  const Value& input(int call, std::size_t which = 0) const;
  /// The one call that reads this one; -1 when there are others, or none.
  int reader(int call) const;
  bool last(int call) const { return call + 1 == static_cast<int>(graph_.calls.size()); }
  void once(int call) const;  ///< refuses layers with weights that are used more than once

  Value dense(int call);
  Value convolution(int call);
  Value depthwise(int call);
  Value separable(int call);
  Value max_pool(int call) { return pool(call, "max-pool"); }
  Value average_pool(int call) { return pool(call, "average-pool"); }
  Value pool(int call, const std::string& kind);
  Value global_average(int call);
  Value global_max(int call);
  Value normalisation(int call);  ///< BatchNormalization
  Value activation_layer(int call);
  Value relu(int call);
  Value leaky_relu(int call);
  Value softmax(int call);
  Value flatten(int call);
  Value reshape(int call);
  Value permute(int call);
  Value pass(int call) { return input(call); }
  Value add(int call);
  Value concatenate(int call);
  Value pad(int call);
  Value crop(int call);
  Value rescale(int call);

  /// A layer with weights, the BatchNormalization behind it that belongs to it, and its activation.
  Value affine(int call, const std::string& kind, const LayerOptions& options, Weights weights,
               const Value& from);
  Value activate(int call, const std::string& name, Value value);
  Value finish_global(int call, int node);
  Value element_wise(int call, const std::string& kind, const LayerOptions& options);
  /// Second part of a name; a number is added where the layer is used more than once.
  std::string suffix(int call, const std::string& name) const;
  Weights depthwise_weights(int call, std::int64_t channels, std::array<std::int64_t, 2> kernel);
  /// kernel, stride, dilation and padding for an image.
  LayerOptions window(int call, const Image& image, std::array<std::int64_t, 2> kernel,
                      std::array<std::int64_t, 2> stride, std::array<std::int64_t, 2> dilation) const;
  Value input_image(int call);
  std::array<std::int64_t, 4> margins(int call, const std::string& key, std::int64_t initial) const;
  /// gain and shift of a BatchNormalization on `channels` channels of values of `rank` sizes.
  std::array<VectorD, 2> gain_and_shift(int call, Index channels, std::size_t rank);
  Vector bias(int call, Index count);

  const Graph& graph_;
  WeightFile& weights_;
  Builder& builder_;
  std::vector<std::string>& notes_;
  const std::vector<bool>& skipped_;
  bool keep_norms_;
  std::vector<Value> values_;              ///< by call
  std::vector<bool> done_;                 ///< folded into another
  std::vector<std::vector<int>> readers_;  ///< by call
};

}  // namespace temblor::keras
