#pragma once

#include <cstdint>
#include <vector>

#include <temblor/network/network.hpp>

namespace temblor {

/// Whether one parameter of the layer acts at many positions: conv2d and scale layers.
bool shares_kernel(const Layer& layer);

/// Which inputs a kernel meets at each position. A scale layer is a convolution with one tap, every channel a
/// group of its own. Outputs are [channels x positions], channels group after group.
struct Taps {
  /// `input` is the shape of the layer's input, `depth` the columns of its weights.
  Taps(const Network::Node& node, const Shape& input, Index depth);

  /// What the windows of a group see, [positions x depth], of `values` [group's inputs]; 0 in the padding.
  void gather(const double* values, MatrixD& seen) const;

  Index groups = 1;
  Index positions = 0;
  Index depth = 0;
  Index plane = 0;                  ///< inputs of one group
  std::vector<std::int32_t> input;  ///< [positions x depth]: input of the group's first, -1: padding
};

}  // namespace temblor
