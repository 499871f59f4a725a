#include "lanes.hpp"

#include <algorithm>
#include <array>

#include <temblor/base/error.hpp>
#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

/// Sums of Vectors * lanes neighbours in the padded image.
template <std::size_t Vectors>
inline void run_tile(const float* image, const std::vector<std::int32_t>& offsets, const float* weights,
                     float bias, float* sums) {
  std::array<float, static_cast<std::size_t>(lanes)> start;
  start.fill(bias);
  Lanes acc[Vectors];
  for (std::size_t v = 0; v < Vectors; ++v) acc[v] = load(start.data());
  for (std::size_t k = 0; k < offsets.size(); ++k) {
    const float* from = image + offsets[k];
    for (std::size_t v = 0; v < Vectors; ++v)
      acc[v] = multiply_add(weights[k], load(from + static_cast<Index>(v) * lanes), acc[v]);
  }
  for (std::size_t v = 0; v < Vectors; ++v) store(sums + static_cast<Index>(v) * lanes, acc[v]);
}

}  // namespace

PlaneConv::PlaneConv(const Sliding& sliding, Index groups)
    : sliding_(sliding), channels_(sliding.channels() / groups) {
  const Window& window = sliding.window();
  const auto& [top, left, bottom, right] = window.padding;
  padded_height_ = sliding.height() + top + bottom;
  padded_width_ = sliding.width() + left + right;
  ensure(channels_ * padded_height_ * padded_width_ < (Index{1} << 31), "offsets fit in 31 bits");
  // Rows of positions are one run of the padded image when they follow each other there, with a few sums
  // between them that nobody reads.
  const bool together = window.stride[0] == 1 && window.stride[1] == 1;
  sweep_ = together ? sliding.rows() : 1;
  span_ = (sweep_ - 1) * padded_width_ + (sliding.columns() - 1) * window.stride[1] + 1;
  for (Index c = 0; c < channels_; ++c) {
    for (Index i = 0; i < window.kernel[0]; ++i) {
      for (Index j = 0; j < window.kernel[1]; ++j) {
        offsets_.push_back(static_cast<std::int32_t>(
            (c * padded_height_ + i * window.dilation[0]) * padded_width_ + j * window.dilation[1]));
      }
    }
  }
}

void PlaneConv::pad(const float* planes, float* to) const {
  const Sliding& sliding = sliding_;
  const Window& window = sliding.window();
  std::fill_n(to, channels_ * padded_height_ * padded_width_, 0.0F);
  const Index corner = window.padding[0] * padded_width_ + window.padding[1];
  for (Index c = 0; c < channels_; ++c) {
    float* row = to + c * padded_height_ * padded_width_ + corner;
    for (Index y = 0; y < sliding.height(); ++y, planes += sliding.width())
      copy_row(planes, sliding.width(), row + y * padded_width_);
  }
}

void PlaneConv::run(const float* image, Index group, const float* weights, float bias, float* out) const {
  thread_local std::vector<float> padded;
  thread_local std::vector<float> sums;
  // Whole vectors may read beyond the last position.
  padded.resize(static_cast<std::size_t>(channels_ * padded_height_ * padded_width_ + lanes));
  std::fill(padded.end() - lanes, padded.end(), 0.0F);
  pad(image + group * channels_ * sliding_.height() * sliding_.width(), padded.data());
  sums.resize(static_cast<std::size_t>(span_ + lanes));
  const Index columns = sliding_.columns();
  const auto [row_step, column_step] = sliding_.window().stride;
  for (Index row = 0; row < sliding_.rows(); row += sweep_) {
    const float* from = padded.data() + row * row_step * padded_width_;
    Index at = 0;
    for (; at + 10 * lanes <= span_; at += 10 * lanes)
      run_tile<10>(from + at, offsets_, weights, bias, sums.data() + at);
    for (; at + 3 * lanes <= span_; at += 3 * lanes)
      run_tile<3>(from + at, offsets_, weights, bias, sums.data() + at);
    for (; at < span_; at += lanes) run_tile<1>(from + at, offsets_, weights, bias, sums.data() + at);
    for (Index r = 0; r < sweep_; ++r) {
      const float* sum = sums.data() + r * padded_width_;
      float* to = out + (row + r) * columns;
      for (Index c = 0; c < columns; ++c) to[c] = sum[c * column_step];
    }
  }
}

}  // namespace temblor
