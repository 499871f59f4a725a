#pragma once

#include <cstdint>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// Geometry of a convolution that leaves out taps that read nothing but 0.
struct SkipShape {
  Index channels = 0;  ///< of the padded image
  Index height = 0;    ///< of its planes
  Index width = 0;     ///< at most skip_width
  Index rows = 0;      ///< of the outputs
  Index columns = 0;
  Index row_stride = 1;
  Index column_stride = 1;
  Index taps = 1;  ///< of a kernel's row, at most skip_taps
  Index kernel_rows = 1;
  Index row_dilation = 1;
  Index column_dilation = 1;

  static constexpr Index block = 4;  ///< positions of a row that share their taps
  Index blocks() const { return (columns + block - 1) / block; }
};

constexpr Index skip_width = 32;
constexpr Index skip_taps = 16;  ///< of a whole kernel

/// Which taps of one image read a value that is not 0. Where wide_vectors().
class SkipCodes {
 public:
  /// The padded image [channels x height x width].
  void read(const SkipShape& shape, const float* image);
  /// Share of the taps that are left, about.
  double left() const { return left_; }

  /// Taps of the channels [first, first + count), both multiples of 16 or up to the last channel, that read
  /// something for one block of positions, in order; numbers begin with 0 at `first`. `list` has room for all
  /// taps of those channels and 16 more.
  Index taps_of(Index row, Index block, Index first, Index count, std::int32_t* list) const;

 private:
  SkipShape shape_;
  Index pitch_ = 0;  ///< channels, to a multiple of 16
  double left_ = 1;
  std::vector<std::uint32_t> words_;  ///< [height x channels]: bit x is column x
  std::vector<std::uint32_t> codes_;  ///< [height x blocks x channels]: bit j is tap j of a kernel's row
};

struct SkipPass {
  const float* image;           ///< padded, at the first position's corner and the pass's first channel
  Index step;                   ///< between positions
  const std::int32_t* offsets;  ///< of the pass's taps
  const std::int32_t* list;     ///< taps to sum, ascending
  Index n;                      ///< how many
  const float* weights;         ///< first panel's, at the pass's first tap
  Index weights_step;           ///< to the next
  const float* bias;            ///< of the panels, one after the other; null when sums continue
  float* sums;                  ///< first panel's, at the first position: [positions x panel_width]
  Index sums_step;              ///< to those of the next panel
};

/// Continues the sums of up to four panels and up to SkipShape::block positions of a row; where
/// wide_vectors().
void run_skip(const SkipPass& pass, Index positions, int panels);

}  // namespace temblor
