#pragma once

#include <array>

#include <temblor/network/types.hpp>

namespace temblor {

/// A window that slides over the planes of an image, as convolution and pooling have it. Pairs are (rows,
/// columns).
struct Window {
  std::array<Index, 2> kernel{1, 1};
  std::array<Index, 2> stride{1, 1};
  std::array<Index, 2> dilation{1, 1};
  std::array<Index, 4> padding{0, 0, 0, 0};  ///< zeros around: top, left, bottom, right

  Index taps() const { return kernel[0] * kernel[1]; }
  bool operator==(const Window&) const = default;
};

/// A window placed on images of one shape. Position p = row * columns + column counts the places of the
/// window, output rows first; tap t = row * kernel columns + column its cells.
class Sliding {
 public:
  /// Bad-input error where the shape is not {channels, height, width}, a size is not positive, or the window
  /// does not fit.
  Sliding(const Window& window, const Shape& input);

  const Window& window() const { return window_; }
  Index channels() const { return channels_; }
  Index height() const { return height_; }
  Index width() const { return width_; }
  Index rows() const { return rows_; }        ///< places downward
  Index columns() const { return columns_; }  ///< places across
  Index positions() const { return rows_ * columns_; }
  Index taps() const { return window_.taps(); }

  /// Row of the image under a tap's row at an output row; may lie in the padding.
  Index image_row(Index row, Index tap_row) const {
    return row * window_.stride[0] + tap_row * window_.dilation[0] - window_.padding[0];
  }
  Index image_column(Index column, Index tap_column) const {
    return column * window_.stride[1] + tap_column * window_.dilation[1] - window_.padding[1];
  }

  /// What the window sees at each position: out [positions x (count * taps)], channel slowest, for channels
  /// [first, first + count) of `image` [channels x height x width]. Padding is 0.
  template <class T>
  void unfold(const T* image, Index first, Index count, T* out) const;
  /// The transpose: adds each entry of `in` [positions x (count * taps)] to the value it was read from;
  /// those of the padding are dropped.
  template <class T>
  void fold_add(const T* in, Index first, Index count, T* image) const;

 private:
  Window window_;
  Index channels_ = 0;
  Index height_ = 0;
  Index width_ = 0;
  Index rows_ = 0;
  Index columns_ = 0;
};

}  // namespace temblor
