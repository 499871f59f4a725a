#include "lanes.hpp"
#include "wide_lanes.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

constexpr std::size_t tile = 6;          // positions a tile of two vectors: 12 accumulators of 16 registers
constexpr std::size_t narrow_tile = 10;  // of one vector

struct Pass {
  const float* image;           // padded
  const std::int32_t* corners;  // of the positions
  const std::int32_t* offsets;  // at the first tap of this pass
  Index n;                      // taps of this pass
  const float* weights;         // panel, at that tap
  const float* bias;            // null when sums continue
  float* sums;                  // [positions x panel_width]
  Index step;                   // from one position of a row to the next, in the image
};

template <std::size_t P, std::size_t Vectors>
inline void run_tile(const Pass& pass, Index position) {
  std::array<const float*, P> in;
  for (std::size_t p = 0; p < P; ++p) in[p] = pass.image + pass.corners[position + static_cast<Index>(p)];
  float* sums = pass.sums + position * panel_width;
  Lanes acc[P][Vectors];
  for (std::size_t p = 0; p < P; ++p) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      const auto lane = static_cast<Index>(v) * lanes;
      acc[p][v] =
          load(pass.bias != nullptr ? pass.bias + lane : sums + static_cast<Index>(p) * panel_width + lane);
    }
  }
  const float* weights = pass.weights;
  for (Index k = 0; k < pass.n; ++k, weights += panel_width) {
    Lanes w[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) w[v] = load(weights + static_cast<Index>(v) * lanes);
    const std::ptrdiff_t offset = pass.offsets[k];
    for (std::size_t p = 0; p < P; ++p) {
      for (std::size_t v = 0; v < Vectors; ++v) acc[p][v] = multiply_add(in[p][offset], w[v], acc[p][v]);
    }
  }
  for (std::size_t p = 0; p < P; ++p) {
    for (std::size_t v = 0; v < Vectors; ++v)
      store(sums + static_cast<Index>(p) * panel_width + static_cast<Index>(v) * lanes, acc[p][v]);
  }
}

template <std::size_t P, std::size_t Vectors>
Index run_tiles(const Pass& pass, Index position, Index end) {
  for (; position + static_cast<Index>(P) <= end; position += static_cast<Index>(P))
    run_tile<P, Vectors>(pass, position);
  return position;
}

#if TEMBLOR_HAS_WIDE
constexpr Index run_length = 8;  // neighbouring positions of one row: one pointer for all

/// Continues the sums of Runs * run_length positions, a panel one vector.
template <std::size_t Runs, Index Step>
TEMBLOR_WIDE inline void run_wide_tile(const Pass& pass, Index position) {
  constexpr std::size_t length = run_length;
  static_assert(wide::lanes == panel_width);
  const float* in[Runs];
  for (std::size_t r = 0; r < Runs; ++r)
    in[r] = pass.image + pass.corners[position + static_cast<Index>(r) * run_length];
  float* sums = pass.sums + position * panel_width;
  wide::Lanes acc[Runs * length];
#pragma GCC unroll 24
  for (std::size_t p = 0; p < Runs * length; ++p)
    acc[p] = wide::load(pass.bias != nullptr ? pass.bias : sums + static_cast<Index>(p) * panel_width);
  const float* weights = pass.weights;
  for (Index k = 0; k < pass.n; ++k, weights += panel_width) {
    const wide::Lanes w = wide::load(weights);
    const std::ptrdiff_t offset = pass.offsets[k];
    for (std::size_t r = 0; r < Runs; ++r) {
      const float* from = in[r] + offset;
      for (std::size_t p = 0; p < length; ++p)
        acc[r * length + p] = wide::multiply_add(from[static_cast<Index>(p) * Step], w, acc[r * length + p]);
    }
  }
#pragma GCC unroll 24  // or GCC copies them through memory
  for (std::size_t p = 0; p < Runs * length; ++p)
    wide::store(sums + static_cast<Index>(p) * panel_width, acc[p]);
}

/// The same for P positions anywhere.
template <std::size_t P>
TEMBLOR_WIDE inline void run_wide_places(const Pass& pass, Index position) {
  const float* in[P];
  for (std::size_t p = 0; p < P; ++p) in[p] = pass.image + pass.corners[position + static_cast<Index>(p)];
  float* sums = pass.sums + position * panel_width;
  wide::Lanes acc[P];
  for (std::size_t p = 0; p < P; ++p)
    acc[p] = wide::load(pass.bias != nullptr ? pass.bias : sums + static_cast<Index>(p) * panel_width);
  const float* weights = pass.weights;
  for (Index k = 0; k < pass.n; ++k, weights += panel_width) {
    const wide::Lanes w = wide::load(weights);
    const std::ptrdiff_t offset = pass.offsets[k];
    for (std::size_t p = 0; p < P; ++p) acc[p] = wide::multiply_add(in[p][offset], w, acc[p]);
  }
  for (std::size_t p = 0; p < P; ++p) wide::store(sums + static_cast<Index>(p) * panel_width, acc[p]);
}

/// How many runs of positions Step apart in the image begin at `at`, at most `most`.
template <Index Step>
Index count_runs(const Pass& pass, Index at, Index end, Index most) {
  Index runs = 0;
  for (; runs < most && at + run_length <= end; ++runs, at += run_length) {
    const std::int32_t* corners = pass.corners + at;
    for (Index p = 1; p < run_length; ++p)
      if (corners[p] - corners[p - 1] != Step) return runs;
  }
  return runs;
}

template <Index Step>
TEMBLOR_WIDE void run_wide(const Pass& pass, Index positions) {
  Index at = 0;
  while (at < positions) {
    const Index runs = count_runs<Step>(pass, at, positions, 3);
    if (runs == 3) {
      run_wide_tile<3, Step>(pass, at);
    } else if (runs == 2) {
      run_wide_tile<2, Step>(pass, at);
    } else if (runs == 1) {
      run_wide_tile<1, Step>(pass, at);
    }
    at += runs * run_length;
    if (runs > 0) continue;
    if (positions - at >= 6) {
      run_wide_places<6>(pass, at);
      at += 6;
    } else if (positions - at >= 3) {
      run_wide_places<3>(pass, at);
      at += 3;
    } else {
      run_wide_places<1>(pass, at);
      ++at;
    }
  }
}
#endif

void run_pass(const Pass& pass, Index positions, bool narrow) {
#if TEMBLOR_HAS_WIDE
  if (!narrow && wide_vectors())
    return pass.step == 2 ? run_wide<2>(pass, positions) : run_wide<1>(pass, positions);
#endif
  Index at = 0;
  if (narrow) {
    at = run_tiles<narrow_tile, 1>(pass, at, positions);
    at = run_tiles<3, 1>(pass, at, positions);
    run_tiles<1, 1>(pass, at, positions);
  } else {
    at = run_tiles<tile, 2>(pass, at, positions);
    at = run_tiles<4, 2>(pass, at, positions);
    at = run_tiles<2, 2>(pass, at, positions);
    run_tiles<1, 2>(pass, at, positions);
  }
}

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

void PackedConv::run_panel(const Panel& panel, const float* image, const std::int32_t* corners,
                           Index positions, float* sums) const {
  const Index passes = (depth_ + pass_depth - 1) / pass_depth;
  const Index step = (depth_ + passes - 1) / passes;
  const Index inputs = depth_ / sliding_.front().taps();
  for (Index first = 0; first < depth_; first += step) {
    const Pass pass{image + panel.group * inputs * padded_height_ * padded_width_,
                    corners,
                    offsets_.data() + first,
                    std::min(step, depth_ - first),
                    panels_.data() + panel.weights + first * panel_width,
                    first == 0 ? bias_.data() + panel.bias : nullptr,
                    sums,
                    sliding_.front().window().stride[1]};
    run_pass(pass, positions, panel.width <= lanes);
  }
}

void PackedConv::multiply(const RowsView& in, Index count, float* out, Index out_stride) const {
  thread_local std::vector<float> padded;
  thread_local std::vector<float> sums;
  if (copies_)
    padded.resize(static_cast<std::size_t>(sliding_.front().channels() * padded_height_ * padded_width_));
  sums.resize(static_cast<std::size_t>(positions_ * panel_width));
  for (Index r = 0; r < count; ++r) {
    const float* image = in.row(r);
    if (copies_) {
      pad(image, padded.data());
      image = padded.data();
    }
    for (const Panel& panel : list_) {
      run_panel(panel, image, corners_.data(), positions_, sums.data());
      to_planes(sums.data(), positions_, panel.width, out + r * out_stride + panel.first * positions_);
    }
  }
}

void PackedConv::multiply_at(const float* image, std::span<const std::int32_t> at, float* out) const {
  thread_local std::vector<float> padded;
  thread_local std::vector<float> sums;
  thread_local std::vector<std::int32_t> corners;
  if (copies_) {
    padded.resize(static_cast<std::size_t>(sliding_.front().channels() * padded_height_ * padded_width_));
    pad(image, padded.data());
    image = padded.data();
  }
  corners.clear();
  for (const std::int32_t p : at) corners.push_back(corners_[static_cast<std::size_t>(p)]);
  sums.resize(at.size() * static_cast<std::size_t>(panel_width));
  for (const Panel& panel : list_) {
    run_panel(panel, image, corners.data(), static_cast<Index>(at.size()), sums.data());
    float* planes = out + panel.first * positions_;
    const float* from = sums.data();
    for (const std::int32_t p : at) {
      for (Index c = 0; c < panel.width; ++c) planes[c * positions_ + p] = from[c];
      from += panel_width;
    }
  }
}

}  // namespace temblor
