#pragma once

#include "lanes.hpp"

#include <temblor/network/vectors.hpp>

namespace temblor {

/// Sums of one panel of output channels (16), or of two, over some taps of a convolution. Plain pointers:
/// code for other instruction sets than the rest is compiled for reads it.
struct ConvPass {
  const float* image;           ///< padded
  const std::int32_t* corners;  ///< of the positions, ascending
  const std::int32_t* offsets;  ///< at the first tap of this pass
  Index n;                      ///< taps of this pass
  const float* weights;         ///< first panel, at that tap
  Index weights_step;           ///< to those of the second panel
  const float* bias;            ///< of both panels, one after the other; null when sums continue
  float* sums;                  ///< [panels][positions x panel_width]
};

/// One panel; `narrow`: the first 8 of its channels.
void run_pass(const ConvPass& pass, Index positions, bool narrow);

/// One panel or two, where wide_vectors().
void run_pass_wide(const ConvPass& pass, Index positions, int panels);

}  // namespace temblor
