#include <algorithm>
#include <string>

#include <temblor/base/error.hpp>
#include <temblor/network/window.hpp>

namespace temblor {
namespace {

/// Larger than any image or window; products of two stay far from overflow.
constexpr Index most = Index{1} << 24;

void check(Index value, Index least, const std::string& what) {
  if (value < least || value > most) {
    input_error(what + " is " + std::to_string(value), "not from " + std::to_string(least) + " to 2^24",
                "correct the layer's geometry");
  }
}

/// Number of places of a window along one dimension.
Index places(Index size, Index kernel, Index stride, Index dilation, Index before, Index after,
             const std::string& dimension) {
  check(kernel, 1, "window " + dimension);
  check(stride, 1, "stride of " + dimension);
  check(dilation, 1, "dilation of " + dimension);
  check(before, 0, "padding of " + dimension);
  check(after, 0, "padding of " + dimension);
  check(size, 1, "image " + dimension);
  const Index span = dilation * (kernel - 1) + 1;
  const Index padded = size + before + after;
  if (span > padded) {
    input_error("a window spans " + std::to_string(span) + " " + dimension,
                "the padded image has " + std::to_string(padded), "use a smaller window or more padding");
  }
  return (padded - span) / stride + 1;
}

}  // namespace

Sliding::Sliding(const Window& window, const Shape& input) : window_(window) {
  if (input.dims.size() != 3) {
    input_error("input shape '" + input.text() + "'", "a window slides over channels x height x width",
                "give it three sizes, as in 1x28x28");
  }
  channels_ = input.dims[0];
  height_ = input.dims[1];
  width_ = input.dims[2];
  const auto& [top, left, bottom, right] = window.padding;
  rows_ = places(height_, window.kernel[0], window.stride[0], window.dilation[0], top, bottom, "rows");
  columns_ = places(width_, window.kernel[1], window.stride[1], window.dilation[1], left, right, "columns");
}

template <class T>
void Sliding::unfold(const T* image, Index first, Index count, T* out) const {
  const auto [kernel_rows, kernel_columns] = window_.kernel;
  const Index depth = count * taps();
  for (Index row = 0; row < rows_; ++row) {
    for (Index column = 0; column < columns_; ++column, out += depth) {
      T* to = out;
      for (Index c = first; c < first + count; ++c) {
        const T* plane = image + c * height_ * width_;
        for (Index i = 0; i < kernel_rows; ++i) {
          const Index y = image_row(row, i);
          const bool inside = y >= 0 && y < height_;
          for (Index j = 0; j < kernel_columns; ++j) {
            const Index x = image_column(column, j);
            *to++ = inside && x >= 0 && x < width_ ? plane[y * width_ + x] : T(0);
          }
        }
      }
    }
  }
}

template <class T>
void Sliding::fold_add(const T* in, Index first, Index count, T* image) const {
  const auto [kernel_rows, kernel_columns] = window_.kernel;
  for (Index row = 0; row < rows_; ++row) {
    for (Index column = 0; column < columns_; ++column) {
      for (Index c = first; c < first + count; ++c) {
        T* plane = image + c * height_ * width_;
        for (Index i = 0; i < kernel_rows; ++i) {
          const Index y = image_row(row, i);
          const bool inside = y >= 0 && y < height_;
          for (Index j = 0; j < kernel_columns; ++j, ++in) {
            const Index x = image_column(column, j);
            if (inside && x >= 0 && x < width_) plane[y * width_ + x] += *in;
          }
        }
      }
    }
  }
}

template void Sliding::unfold(const float*, Index, Index, float*) const;
template void Sliding::unfold(const double*, Index, Index, double*) const;
template void Sliding::fold_add(const float*, Index, Index, float*) const;
template void Sliding::fold_add(const double*, Index, Index, double*) const;

}  // namespace temblor
