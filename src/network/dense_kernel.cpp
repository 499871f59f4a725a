#include "lanes.hpp"
#include "wide_lanes.hpp"

#include <algorithm>
#include <array>

#include <temblor/network/dense.hpp>

namespace temblor {
namespace {

constexpr Index panel = panel_width;
constexpr std::size_t tile = 6;  // images a tile: 12 accumulators, 2 weights, 1 input of 16 registers
constexpr Index depth = pass_depth;

/// Continues the sums of R images and one panel over inputs [0, n). `sums` [R x panel].
template <std::size_t R, std::size_t Vectors>
inline void accumulate(const std::array<const float*, R>& in, const float* weights, Index n, float* sums,
                       Index stride) {
  Lanes acc[R][Vectors];
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t v = 0; v < Vectors; ++v)
      acc[r][v] = load(sums + static_cast<Index>(r) * stride + static_cast<Index>(v) * lanes);
  }
  for (Index k = 0; k < n; ++k) {
    Lanes w[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v)
      w[v] = load(weights + k * panel + static_cast<Index>(v) * lanes);
    for (std::size_t r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < Vectors; ++v) acc[r][v] = multiply_add(in[r][k], w[v], acc[r][v]);
    }
  }
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t v = 0; v < Vectors; ++v)
      store(sums + static_cast<Index>(r) * stride + static_cast<Index>(v) * lanes, acc[r][v]);
  }
}

struct Pass {
  const RowsView* in;
  Index first;           // first input of this pass
  Index n;               // inputs of this pass
  const float* weights;  // panel, at `first`
  const float* bias;     // null when sums continue
  Index width;           // units of this panel that exist
  float* out;            // column of the panel's first unit
  Index stride;
};

template <std::size_t R>
void run_tile(const Pass& pass, Index row) {
  std::array<const float*, R> in;
  for (std::size_t r = 0; r < R; ++r) in[r] = pass.in->row(row + static_cast<Index>(r)) + pass.first;
  float* out = pass.out + row * pass.stride;
  if (pass.width == panel && pass.bias == nullptr) {
    accumulate<R, 2>(in, pass.weights, pass.n, out, pass.stride);
    return;
  }
  std::array<float, R* static_cast<std::size_t>(panel)> sums;
  constexpr auto rows = static_cast<Index>(R);
  for (Index r = 0; r < rows; ++r) {
    if (pass.bias != nullptr) {
      std::copy_n(pass.bias, panel, sums.data() + r * panel);
    } else {
      std::fill_n(std::copy_n(out + r * pass.stride, pass.width, sums.data() + r * panel), panel - pass.width,
                  0.0F);
    }
  }
  if (pass.width > lanes) {
    accumulate<R, 2>(in, pass.weights, pass.n, sums.data(), panel);
  } else {
    accumulate<R, 1>(in, pass.weights, pass.n, sums.data(), panel);
  }
  for (Index r = 0; r < rows; ++r) std::copy_n(sums.data() + r * panel, pass.width, out + r * pass.stride);
}

#if TEMBLOR_HAS_WIDE
/// The same with a panel in one vector.
template <std::size_t R>
TEMBLOR_WIDE void run_wide_tile(const Pass& pass, Index row) {
  static_assert(wide::lanes == panel);
  const float* in[R];
  for (std::size_t r = 0; r < R; ++r) in[r] = pass.in->row(row + static_cast<Index>(r)) + pass.first;
  float* out = pass.out + row * pass.stride;
  const auto used = static_cast<__mmask16>((1U << static_cast<unsigned>(pass.width)) - 1);
  wide::Lanes acc[R];
  for (std::size_t r = 0; r < R; ++r) {
    acc[r] = pass.bias != nullptr ? wide::load(pass.bias)
                                  : _mm512_maskz_loadu_ps(used, out + static_cast<Index>(r) * pass.stride);
  }
  for (Index k = 0; k < pass.n; ++k) {
    const wide::Lanes w = wide::load(pass.weights + k * panel);
    for (std::size_t r = 0; r < R; ++r) acc[r] = wide::multiply_add(in[r][k], w, acc[r]);
  }
  for (std::size_t r = 0; r < R; ++r)
    _mm512_mask_storeu_ps(out + static_cast<Index>(r) * pass.stride, used, acc[r]);
}

TEMBLOR_WIDE void run_wide(const Pass& pass, Index count) {
  Index row = 0;
  for (; row + 12 <= count; row += 12) run_wide_tile<12>(pass, row);
  for (; row + 6 <= count; row += 6) run_wide_tile<6>(pass, row);
  for (; row + 3 <= count; row += 3) run_wide_tile<3>(pass, row);
  for (; row < count; ++row) run_wide_tile<1>(pass, row);
}
#endif

void run_pass(const Pass& pass, Index count) {
#if TEMBLOR_HAS_WIDE
  if (pass.width > lanes && wide_vectors()) return run_wide(pass, count);
#endif
  Index row = 0;
  for (; row + static_cast<Index>(tile) <= count; row += static_cast<Index>(tile)) run_tile<tile>(pass, row);
  switch (count - row) {
    case 5:
      return run_tile<5>(pass, row);
    case 4:
      return run_tile<4>(pass, row);
    case 3:
      return run_tile<3>(pass, row);
    case 2:
      return run_tile<2>(pass, row);
    case 1:
      return run_tile<1>(pass, row);
    default:
      return;
  }
}

}  // namespace

void PackedDense::reserve(Index outputs, Index inputs) {
  outputs_ = outputs;
  inputs_ = inputs;
  const Index panels = (outputs + panel - 1) / panel;
  panels_.resize(static_cast<std::size_t>(panels * panel * inputs));
  bias_.assign(static_cast<std::size_t>(panels * panel), 0.0F);
}

void PackedDense::pack(const Matrix& weight, const Vector& bias) {
  reserve(weight.rows(), weight.cols());
  std::copy_n(bias.data(), bias.size(), bias_.data());
  for (Index first = 0; first < outputs_; first += panel) {
    float* to = panels_.data() + first * inputs_;
    const Index width = std::min(panel, outputs_ - first);
    using Panel = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
    Panel map(to, inputs_, panel);
    map.leftCols(width) = weight.middleRows(first, width).transpose();
    map.rightCols(panel - width).setZero();
  }
}

void PackedDense::pack(const Matrix& weight, const Vector& bias, std::span<const Index> units) {
  reserve(static_cast<Index>(units.size()), weight.cols());
  std::fill(panels_.begin(), panels_.end(), 0.0F);
  for (std::size_t c = 0; c < units.size(); ++c) {
    const auto unit = static_cast<Index>(c);
    float* to = panels_.data() + unit / panel * panel * inputs_ + unit % panel;
    const float* from = weight.data() + units[c] * inputs_;
    for (Index k = 0; k < inputs_; ++k) to[k * panel] = from[k];
    if (bias.size() != 0) bias_[c] = bias[units[c]];
  }
}

void PackedDense::set(Index output, Index input, float value) {
  const Index first = output / panel * panel;
  panels_[static_cast<std::size_t>(first * inputs_ + input * panel + output - first)] = value;
}

void PackedDense::multiply(const RowsView& in, Index count, float* out, Index out_stride) const {
  const Index passes = std::max<Index>(1, (inputs_ + depth - 1) / depth);
  const Index step = (inputs_ + passes - 1) / passes;
  for (Index unit = 0; unit < outputs_; unit += panel) {
    for (Index first = 0; first < std::max<Index>(inputs_, 1); first += std::max<Index>(step, 1)) {
      const Pass pass{&in,
                      first,
                      std::min(step, inputs_ - first),
                      panels_.data() + unit * inputs_ + first * panel,
                      first == 0 ? bias_.data() + unit : nullptr,
                      std::min(panel, outputs_ - unit),
                      out + unit,
                      out_stride};
      run_pass(pass, count);
    }
  }
}

}  // namespace temblor
