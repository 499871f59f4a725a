#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <temblor/network/conv.hpp>
#include <temblor/network/network.hpp>

namespace temblor::census {

/// The nodes after a convolution whose outputs of one channel depend on that channel alone (of what a fault
/// in the convolution changes): element-wise layers, pools, scales, sums with values that do not change.
/// They can be run on one channel's plane.
class ChannelPath {
 public:
  struct Step {
    int node;
    std::shared_ptr<const Layer> layer;  ///< placed on one channel
    Index plane;                         ///< output values a channel
    std::size_t own;                     ///< which of its inputs is the channel
  };

  ChannelPath(const Network& network, int conv);

  int conv() const { return conv_; }
  int end() const { return steps_.empty() ? conv_ : steps_.back().node; }  ///< the last of the nodes
  Index plane() const { return steps_.empty() ? positions_ : steps_.back().plane; }
  Index positions() const { return positions_; }  ///< values a channel of the convolution
  const std::vector<Step>& steps() const { return steps_; }

  /// planes [rows x positions] of one channel to planes [rows x plane()] after the last node, bit for bit as
  /// the whole network has them. `images` are the rows' images in `golden`.
  const Matrix& run(Index channel, const std::vector<std::int32_t>& images, const Activations& golden,
                    const Matrix& pixels, Matrix& planes, Matrix& other) const;

 private:
  const Network* network_;
  int conv_;
  Index positions_;
  std::vector<Step> steps_;
};

/// The convolution of a node restricted to one output channel: several versions of that channel's kernel,
/// each with weights of its own, on images of the channel's group.
class ChannelConv {
 public:
  ChannelConv(const Network& network, int node);

  Index depth() const { return depth_; }  ///< weights of one output channel
  Index taps() const { return sliding_.taps(); }
  Index positions() const { return sliding_.positions(); }
  const Sliding& sliding() const { return sliding_; }  ///< on the group's channels
  /// Where the group of an output channel begins within an image of the whole input.
  Index group_offset(Index channel) const;

  /// Readies versions of `channel`: rows of `kernels`.
  void pack(Index channel, const Matrix& kernels, PackedConv& packed) const;

  /// Whether some value that a weight meets is not 0; `image` is that of the whole input.
  bool reads_something(Index channel, Index weight, const float* image) const;

 private:
  const Weights* weights_;
  Index groups_;
  Index depth_;
  Sliding sliding_;
};

}  // namespace temblor::census
