#include "conv_pass.hpp"
#include "conv_skip.hpp"

#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

/// Terms a pass of wide vectors: the slices of two panels stay in the second-level cache.
constexpr Index wide_pass_depth = 2048;
/// Channels a pass that leaves out taps: the slices of four panels (36 KiB of 3x3 kernels) stay in the
/// first-level cache.
constexpr Index skip_channels = 16;
constexpr std::size_t most_panels = 4;  // that share a list of taps
/// Where more taps than this read something, finding the others costs more than it saves.
constexpr double most_left = 0.8;

/// sums [positions x panel_width] to planes [width x positions].
void to_planes(const float* sums, Index positions, Index width, float* planes) {
  Index at = 0;
  for (; at + lanes <= positions; at += lanes) {
    for (Index first = 0; first < width; first += lanes) {
      Lanes rows[lanes];
      for (Index i = 0; i < lanes; ++i) rows[i] = load(sums + (at + i) * panel_width + first);
      transpose(rows);
      const Index used = std::min(lanes, width - first);
      for (Index i = 0; i < used; ++i) store(planes + (first + i) * positions + at, rows[i]);
    }
  }
  for (; at < positions; ++at) {
    for (Index c = 0; c < width; ++c) planes[c * positions + at] = sums[at * panel_width + c];
  }
}

}  // namespace

void PackedConv::pack(const Sliding& sliding, Index groups, const Weights& weights) {
  std::vector<Index> all(static_cast<std::size_t>(weights.weight.rows()));
  std::iota(all.begin(), all.end(), Index{0});
  pack(sliding, groups, weights, all);
}

void PackedConv::pack(const Sliding& sliding, Index groups, const Weights& weights,
                      std::span<const Index> channels) {
  const Window& window = sliding.window();
  sliding_.assign(1, sliding);
  outputs_ = static_cast<Index>(channels.size());
  positions_ = sliding.positions();
  const Index inputs = sliding.channels() / groups;
  depth_ = inputs * sliding.taps();
  const auto& [top, left, bottom, right] = window.padding;
  copies_ = top + left + bottom + right > 0;
  padded_height_ = sliding.height() + top + bottom;
  padded_width_ = sliding.width() + left + right;
  ensure(sliding.channels() * padded_height_ * padded_width_ < (Index{1} << 31), "offsets fit in 31 bits");

  offsets_.clear();
  for (Index c = 0; c < inputs; ++c) {
    for (Index i = 0; i < window.kernel[0]; ++i) {
      for (Index j = 0; j < window.kernel[1]; ++j) {
        offsets_.push_back(static_cast<std::int32_t>(
            (c * padded_height_ + i * window.dilation[0]) * padded_width_ + j * window.dilation[1]));
      }
    }
  }
  corners_.clear();
  for (Index row = 0; row < sliding.rows(); ++row) {
    for (Index column = 0; column < sliding.columns(); ++column) {
      corners_.push_back(
          static_cast<std::int32_t>(row * window.stride[0] * padded_width_ + column * window.stride[1]));
    }
  }

  const Index per_group = weights.weight.rows() / groups;
  list_.clear();
  panels_.clear();
  bias_.clear();
  for (Index first = 0; first < outputs_;) {
    const Index group = channels[static_cast<std::size_t>(first)] / per_group;
    Index width = 0;
    while (width < panel_width && first + width < outputs_ &&
           channels[static_cast<std::size_t>(first + width)] / per_group == group)
      ++width;
    list_.push_back({group, first, width, panels_.size(), bias_.size()});
    panels_.resize(panels_.size() + static_cast<std::size_t>(depth_ * panel_width), 0.0F);
    bias_.resize(bias_.size() + static_cast<std::size_t>(panel_width), 0.0F);
    for (Index c = 0; c < width; ++c) {
      const Index channel = channels[static_cast<std::size_t>(first + c)];
      const float* from = weights.weight.data() + channel * depth_;
      float* to = panels_.data() + list_.back().weights + c;
      for (Index k = 0; k < depth_; ++k) to[k * panel_width] = from[k];
      if (weights.bias.size() != 0)
        bias_[list_.back().bias + static_cast<std::size_t>(c)] = weights.bias[channel];
    }
    first += width;
  }
  const bool finite =
      std::all_of(panels_.begin(), panels_.end(), [](float weight) { return weight - weight == 0.0F; });
  skips_ =
      finite && padded_width_ <= skip_width && sliding.taps() <= skip_taps && list_.size() > 1 && groups == 1;
}

void PackedConv::pad(const float* image, float* to) const {
  const Sliding& sliding = sliding_.front();
  const Window& window = sliding.window();
  std::fill_n(to, sliding.channels() * padded_height_ * padded_width_, 0.0F);
  const Index corner = window.padding[0] * padded_width_ + window.padding[1];
  for (Index c = 0; c < sliding.channels(); ++c) {
    float* row = to + c * padded_height_ * padded_width_ + corner;
    for (Index y = 0; y < sliding.height(); ++y, image += sliding.width())
      copy_row(image, sliding.width(), row + y * padded_width_);
  }
}

/// Panels that are run together from this one on, at most two.
std::size_t PackedConv::together(std::size_t panel) const {
  const bool two = wide_vectors() && panel + 1 < list_.size() &&
                   list_[panel].group == list_[panel + 1].group && list_[panel + 1].width > lanes;
  return two ? 2 : 1;
}

/// Sums of one panel, or of two: `panels` [positions x panel_width].
void PackedConv::run_panels(std::size_t first, std::size_t panels, const float* image,
                            const std::int32_t* corners, Index positions, float* sums) const {
  const Panel& panel = list_[first];
  const bool narrow = panel.width <= lanes;
  const bool wide = wide_vectors() && !narrow;
  const Index most = wide ? wide_pass_depth : pass_depth;
  const Index passes = (depth_ + most - 1) / most;
  const Index step = (depth_ + passes - 1) / passes;
  const Index inputs = depth_ / sliding_.front().taps();
  for (Index tap = 0; tap < depth_; tap += step) {
    const ConvPass pass{image + panel.group * inputs * padded_height_ * padded_width_,
                        corners,
                        offsets_.data() + tap,
                        std::min(step, depth_ - tap),
                        panels_.data() + panel.weights + tap * panel_width,
                        depth_ * panel_width,
                        tap == 0 ? bias_.data() + panel.bias : nullptr,
                        sums};
    if (wide) {
      run_pass_wide(pass, positions, static_cast<int>(panels));
    } else {
      run_pass(pass, positions, narrow);
    }
  }
}

/// One image (padded), without the taps that read nothing but 0; false, and nothing is done, where few do.
bool PackedConv::multiply_skipping(const float* image, AlignedFloats& sums, float* out) const {
  thread_local SkipCodes codes;
  thread_local std::vector<std::int32_t> taps;
  const Sliding& sliding = sliding_.front();
  const Window& window = sliding.window();
  const SkipShape shape{sliding.channels(), padded_height_,     padded_width_,     sliding.rows(),
                        sliding.columns(),  window.stride[0],   window.stride[1],  window.kernel[1],
                        window.kernel[0],   window.dilation[0], window.dilation[1]};
  codes.read(shape, image);
  if (codes.left() > most_left) return false;
  taps.resize(static_cast<std::size_t>(depth_ + skip_taps));
  const Index channels = sliding.channels();
  const Index sums_step = positions_ * panel_width;
  for (std::size_t first = 0; first < list_.size();) {
    const std::size_t end = std::min(first + most_panels, list_.size());
    const Panel& panel = list_[first];
    for (Index channel = 0; channel < channels; channel += skip_channels) {
      const Index tap = channel * sliding.taps();
      for (Index row = 0; row < shape.rows; ++row) {
        for (Index block = 0; block < shape.blocks(); ++block) {
          const Index position = row * shape.columns + block * SkipShape::block;
          const Index n =
              codes.taps_of(row, block, channel, std::min(skip_channels, channels - channel), taps.data());
          run_skip({image + corners_[static_cast<std::size_t>(position)], shape.column_stride,
                    offsets_.data() + tap, taps.data(), n, panels_.data() + panel.weights + tap * panel_width,
                    depth_ * panel_width, channel == 0 ? bias_.data() + panel.bias : nullptr,
                    sums.data() + position * panel_width, sums_step},
                   std::min(SkipShape::block, shape.columns - block * SkipShape::block),
                   static_cast<int>(end - first));
        }
      }
    }
    const float* from = sums.data();
    for (; first < end; ++first, from += sums_step)
      to_planes(from, positions_, list_[first].width, out + list_[first].first * positions_);
  }
  return true;
}

void PackedConv::multiply(const RowsView& in, Index count, float* out, Index out_stride) const {
  const bool skips = skips_ && wide_vectors();
  thread_local std::vector<float> padded;
  thread_local AlignedFloats sums;
  if (copies_)
    padded.resize(static_cast<std::size_t>(sliding_.front().channels() * padded_height_ * padded_width_));
  sums.resize(
      static_cast<std::size_t>((skips ? static_cast<Index>(most_panels) : 2) * positions_ * panel_width));
  for (Index r = 0; r < count; ++r) {
    const float* image = in.row(r);
    if (copies_) {
      pad(image, padded.data());
      image = padded.data();
    }
    if (skips && multiply_skipping(image, sums, out + r * out_stride)) continue;
    for (std::size_t first = 0; first < list_.size();) {
      const std::size_t panels = together(first);
      run_panels(first, panels, image, corners_.data(), positions_, sums.data());
      const float* from = sums.data();
      for (const std::size_t end = first + panels; first < end; ++first, from += positions_ * panel_width)
        to_planes(from, positions_, list_[first].width,
                  out + r * out_stride + list_[first].first * positions_);
    }
  }
}

void PackedConv::multiply_at(const float* image, std::span<const std::int32_t> at, float* out) const {
  thread_local std::vector<float> padded;
  thread_local AlignedFloats sums;
  thread_local std::vector<std::int32_t> corners;
  if (copies_) {
    padded.resize(static_cast<std::size_t>(sliding_.front().channels() * padded_height_ * padded_width_));
    pad(image, padded.data());
    image = padded.data();
  }
  corners.clear();
  for (const std::int32_t p : at) corners.push_back(corners_[static_cast<std::size_t>(p)]);
  sums.resize(2 * at.size() * static_cast<std::size_t>(panel_width));
  for (std::size_t first = 0; first < list_.size();) {
    const std::size_t panels = together(first);
    run_panels(first, panels, image, corners.data(), static_cast<Index>(at.size()), sums.data());
    const float* from = sums.data();
    for (const std::size_t end = first + panels; first < end; ++first) {
      float* planes = out + list_[first].first * positions_;
      for (const std::int32_t p : at) {
        for (Index c = 0; c < list_[first].width; ++c) planes[c * positions_ + p] = from[c];
        from += panel_width;
      }
    }
  }
}

}  // namespace temblor
