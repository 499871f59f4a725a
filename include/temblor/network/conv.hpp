#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <temblor/base/aligned.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/network/window.hpp>

namespace temblor {

/// Kernels of a convolution, or of some of its output channels, in the order in which the kernel reads them.
///
/// The same arithmetic as PackedDense: at every position, p_c = (..((b_c + w_c0 z_0) + w_c1 z_1) + ..),
/// float32, taps in the order (input channel of the group, kernel row, kernel column), one fused multiply-add
/// a term where the machine has it; padding is a value of 0 like any other. Each output depends on its own
/// window and channel alone. Where all weights are finite, taps that read 0 may be left out: at most the sign
/// of a 0 tells.
class PackedConv {
 public:
  /// weight [output channels x (channels / groups * taps)], bias [output channels] or empty. Memory is reused
  /// when the object is packed again.
  void pack(const Sliding& sliding, Index groups, const Weights& weights);
  /// Only these output channels, ascending; channel c of the result is output channel channels[c].
  void pack(const Sliding& sliding, Index groups, const Weights& weights, std::span<const Index> channels);

  Index outputs() const { return outputs_; }  ///< output channels that are packed
  Index positions() const { return positions_; }

  /// out[r * out_stride + c * positions() + p] for r < count, from images `in` [count x (channels * height *
  /// width)]; out_stride >= outputs() * positions().
  void multiply(const RowsView& in, Index count, float* out, Index out_stride) const;
  /// The same for one image and some positions: out[c * positions() + p] for p in `at`, the rest stays.
  void multiply_at(const float* image, std::span<const std::int32_t> at, float* out) const;

 private:
  /// Up to 16 output channels of one group.
  struct Panel {
    Index group;
    Index first;  ///< of the packed channels
    Index width;
    std::size_t weights;  ///< offset into panels_
    std::size_t bias;     ///< offset into bias_
  };

  void pad(const float* image, float* to) const;
  std::size_t together(std::size_t panel) const;
  void run_panels(std::size_t first, std::size_t panels, const float* image, const std::int32_t* corners,
                  Index positions, float* sums) const;
  bool multiply_skipping(const float* image, AlignedFloats& sums, float* out) const;

  std::vector<Sliding> sliding_;  ///< one, or none before packing
  Index outputs_ = 0;
  Index positions_ = 0;
  Index depth_ = 0;          ///< taps of one output
  Index padded_height_ = 0;  ///< of the copy with its padding
  Index padded_width_ = 0;
  bool copies_ = false;                ///< whether images need that copy
  bool skips_ = false;                 ///< whether taps that read nothing but 0 may be left out
  std::vector<std::int32_t> offsets_;  ///< of each tap from the window's corner, in the padded image
  std::vector<std::int32_t> corners_;  ///< of each position
  std::vector<Panel> list_;
  AlignedFloats panels_;  ///< [panel][tap][lanes], padded with zeros
  AlignedFloats bias_;    ///< [panel][lanes]
};

/// Single output channels of a convolution at all positions, with the arithmetic of PackedConv, bit for bit:
/// vectors run over positions instead of channels.
class PlaneConv {
 public:
  PlaneConv(const Sliding& sliding, Index groups);

  /// out[p] for the channel of `group` with `weights` [depth] and that bias.
  void run(const float* image, Index group, const float* weights, float bias, float* out) const;

 private:
  void pad(const float* planes, float* to) const;

  Sliding sliding_;
  Index channels_ = 0;  ///< of the inputs of one group
  Index padded_height_ = 0;
  Index padded_width_ = 0;
  Index span_ = 0;   ///< values from the first position of a sweep to its last
  Index sweep_ = 0;  ///< output rows of a sweep
  std::vector<std::int32_t> offsets_;
};

/// A layer that PackedConv computes, with the same arithmetic as forward().
class ConvolutionLayer : public Layer {
 public:
  virtual const Sliding& sliding() const = 0;  ///< on the shape that the layer was placed on
  virtual Index groups() const = 0;
};

}  // namespace temblor
