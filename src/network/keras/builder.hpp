#pragma once

#include "graph.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor::keras {

using Dims = std::vector<std::int64_t>;

/// Rows, columns and channels of an image; all 0: none.
using Image = std::array<std::int64_t, 3>;

/// The output of a call. Keras keeps images as [rows, columns, channels], we as [channels, rows, columns].
struct Value {
  int node = -1;  ///< of our network; -1: the image
  Dims dims{};    ///< as Keras sees them, without the batch
  /// Where the values stand in our order of such an image: Keras has value (row * columns + column) *
  /// channels + channel where we have (channel * rows + row) * columns + column. None: the same order.
  Image image{};
};

/// `image`, or none where both orders are the same.
Image order_of(const Image& image);
/// Where Keras has our value `i`.
Index keras_index(const Value& value, Index i);

/// Adds nodes to a network for calls of layers. Errors are bad input and name the layer and the file.
class Builder {
 public:
  Builder(Network& network, bool channels_last) : network_(network), channels_last_(channels_last) {}

  Network& network() { return network_; }
  bool channels_last() const { return channels_last_; }

  /// A node; `suffix` makes a second name for what else a layer needs.
  int add(const LayerSpec& layer, const std::string& suffix, const std::string& kind,
          const LayerOptions& options, Weights weights, const std::vector<int>& inputs);
  /// The value as an image of our order and shape, transposed where it must be. Bad-input error where it has
  /// not three sizes.
  Value image(const LayerSpec& layer, Value value);
  /// The value in Keras' order.
  Value plain(const LayerSpec& layer, Value value);
  /// The value as one long dimension, in the order that it has; with `own` the node has the layer's name.
  Value flat(const LayerSpec& layer, Value value, bool own = false);
  /// Rows, columns and channels of a value of three sizes.
  Image sizes(const Value& value) const;
  /// The value of a node that is an image of our order.
  Value of_image(int node) const;

  const Shape& shape(int node) const;

 private:
  Value shaped(const LayerSpec& layer, Value value, const Shape& shape);

  Network& network_;
  bool channels_last_;
  int added_ = 0;
};

}  // namespace temblor::keras
