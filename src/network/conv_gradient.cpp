#include "conv_gradient.hpp"

#include "lanes.hpp"
#include "wide_lanes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

/// One image with its padding, and where windows and taps lie in it.
struct Padded {
  explicit Padded(const Sliding& sliding, Index channels)
      : height(sliding.height() + sliding.window().padding[0] + sliding.window().padding[2]),
        width(sliding.width() + sliding.window().padding[1] + sliding.window().padding[3]),
        values(static_cast<std::size_t>(sliding.channels() * height * width), 0.0F) {
    const Window& window = sliding.window();
    for (Index c = 0; c < channels; ++c) {
      for (Index i = 0; i < window.kernel[0]; ++i) {
        for (Index j = 0; j < window.kernel[1]; ++j)
          taps.push_back((c * height + i * window.dilation[0]) * width + j * window.dilation[1]);
      }
    }
    for (Index row = 0; row < sliding.rows(); ++row) {
      for (Index column = 0; column < sliding.columns(); ++column)
        corners.push_back(row * window.stride[0] * width + column * window.stride[1]);
    }
  }

  /// Padding stays 0.
  void fill(const Sliding& sliding, const float* image) {
    const auto& padding = sliding.window().padding;
    for (Index c = 0; c < sliding.channels(); ++c) {
      for (Index y = 0; y < sliding.height(); ++y, image += sliding.width())
        std::copy_n(image, sliding.width(), &values[at(c, padding[0] + y, padding[1])]);
    }
  }

  std::size_t at(Index c, Index y, Index x) const {
    return static_cast<std::size_t>((c * height + y) * width + x);
  }

  Index height;
  Index width;
  std::vector<float> values;
  std::vector<Index> taps;     ///< of one group, from the window's corner
  std::vector<Index> corners;  ///< of each position
};

/// Adds sum over positions of in(tap, position) g(position, lane) to sums [taps x panel_width], for T taps.
template <std::size_t T, std::size_t Vectors>
inline void correlate(const float* image, const Index* taps, const Index* corners, Index positions,
                      const float* above, float* sums) {
  std::array<const float*, T> in;
  for (std::size_t t = 0; t < T; ++t) in[t] = image + taps[t];
  Lanes acc[T][Vectors];
  constexpr std::array<float, lanes> zeros{};
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t v = 0; v < Vectors; ++v) acc[t][v] = load(zeros.data());
  }
  for (Index k = 0; k < positions; ++k, above += panel_width) {
    Lanes g[Vectors];
    for (std::size_t v = 0; v < Vectors; ++v) g[v] = load(above + static_cast<Index>(v) * lanes);
    const Index corner = corners[k];
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t v = 0; v < Vectors; ++v) acc[t][v] = multiply_add(in[t][corner], g[v], acc[t][v]);
    }
  }
  for (std::size_t t = 0; t < T; ++t) {
    for (std::size_t v = 0; v < Vectors; ++v) {
      float* to = sums + static_cast<Index>(t) * panel_width + static_cast<Index>(v) * lanes;
      store(to, multiply_add(1.0F, acc[t][v], load(to)));
    }
  }
}

template <std::size_t T, std::size_t Vectors>
Index correlate_tiles(const float* image, const Padded& padded, Index tap, Index first, Index positions,
                      const float* above, float* sums) {
  const auto end = static_cast<Index>(padded.taps.size());
  for (; tap + static_cast<Index>(T) <= end; tap += static_cast<Index>(T)) {
    correlate<T, Vectors>(image, padded.taps.data() + tap, padded.corners.data() + first, positions, above,
                          sums + tap * panel_width);
  }
  return tap;
}

#if TEMBLOR_HAS_WIDE
/// The same with a panel in one vector.
template <std::size_t T>
TEMBLOR_WIDE inline void correlate_wide(const float* image, const Index* taps, const Index* corners,
                                        Index positions, const float* above, float* sums) {
  const float* in[T];
  wide::Lanes acc[T];
  for (std::size_t t = 0; t < T; ++t) {
    in[t] = image + taps[t];
    acc[t] = _mm512_setzero_ps();
  }
  for (Index k = 0; k < positions; ++k, above += panel_width) {
    const wide::Lanes g = wide::load(above);
    const Index corner = corners[k];
    for (std::size_t t = 0; t < T; ++t) acc[t] = wide::multiply_add(in[t][corner], g, acc[t]);
  }
  for (std::size_t t = 0; t < T; ++t) {
    float* to = sums + static_cast<Index>(t) * panel_width;
    wide::store(to, _mm512_add_ps(acc[t], wide::load(to)));
  }
}

template <std::size_t T>
TEMBLOR_WIDE Index correlate_wide_tiles(const float* image, const Padded& padded, Index tap, Index first,
                                        Index positions, const float* above, float* sums) {
  const auto end = static_cast<Index>(padded.taps.size());
  for (; tap + static_cast<Index>(T) <= end; tap += static_cast<Index>(T)) {
    correlate_wide<T>(image, padded.taps.data() + tap, padded.corners.data() + first, positions, above,
                      sums + tap * panel_width);
  }
  return tap;
}
#endif

/// All taps, for one panel of `width` outputs.
void correlate_all(const float* image, const Padded& padded, Index width, Index first, Index count,
                   const float* above, float* sums) {
  if (width <= lanes) {
    Index tap = correlate_tiles<10, 1>(image, padded, 0, first, count, above, sums);
    tap = correlate_tiles<5, 1>(image, padded, tap, first, count, above, sums);
    correlate_tiles<1, 1>(image, padded, tap, first, count, above, sums);
    return;
  }
#if TEMBLOR_HAS_WIDE
  if (wide_vectors()) {
    Index tap = correlate_wide_tiles<9>(image, padded, 0, first, count, above, sums);
    tap = correlate_wide_tiles<3>(image, padded, tap, first, count, above, sums);
    correlate_wide_tiles<1>(image, padded, tap, first, count, above, sums);
    return;
  }
#endif
  Index tap = correlate_tiles<6, 2>(image, padded, 0, first, count, above, sums);
  tap = correlate_tiles<3, 2>(image, padded, tap, first, count, above, sums);
  correlate_tiles<1, 2>(image, padded, tap, first, count, above, sums);
}

/// Planes [width x positions] to [positions x panel_width].
void to_lanes(const float* planes, Index positions, Index width, float* to) {
  Index at = 0;
  if (width % lanes == 0) {
    for (; at + lanes <= positions; at += lanes) {
      for (Index first = 0; first < width; first += lanes) {
        Lanes rows[lanes];
        for (Index i = 0; i < lanes; ++i) rows[i] = load(planes + (first + i) * positions + at);
        transpose(rows);
        for (Index i = 0; i < lanes; ++i) store(to + (at + i) * panel_width + first, rows[i]);
      }
    }
  }
  for (; at < positions; ++at) {
    for (Index c = 0; c < width; ++c) to[at * panel_width + c] = planes[c * positions + at];
  }
}

/// Where the inputs of one residue (rows or columns: y = residue + stride m) get their gradient from, as a
/// window of stride 1 over the outputs.
struct Phase {
  Index residue;
  Index count;  ///< of inputs
  Index tap;    ///< first that reaches them
  Index step;   ///< between taps
  Index taps;
  Index dilation;
  Index before;  ///< padding of the outputs
  Index after;
};

/// All residues of one dimension; nothing where the padding would be negative.
std::optional<std::vector<Phase>> phases(Index size, Index kernel, Index stride, Index dilation,
                                         Index padding, Index places) {
  if (stride > 1 && dilation > 1) return std::nullopt;
  std::vector<Phase> all;
  for (Index residue = 0; residue < std::min(stride, size); ++residue) {
    Phase phase{};
    phase.residue = residue;
    phase.count = (size - residue + stride - 1) / stride;
    phase.tap = (residue + padding) % stride;
    phase.step = stride;
    phase.taps = phase.tap < kernel ? (kernel - 1 - phase.tap) / stride + 1 : 0;
    phase.dilation = stride > 1 ? 1 : dilation;
    const Index reach = (phase.taps - 1) * phase.dilation;
    phase.before = reach - (residue + padding) / stride;
    phase.after = phase.count - places - phase.before + reach;
    if (phase.taps == 0) continue;
    if (phase.before < 0 || phase.after < 0) return std::nullopt;
    all.push_back(phase);
  }
  return all;
}

/// Kernels of the taps of two phases, turned, with inputs and outputs exchanged.
void turn(const Matrix& weight, Index groups, Index kernel_columns, Index cells, const Phase& down,
          const Phase& across, Matrix& turned) {
  const Index outputs = weight.rows() / groups;
  const Index inputs = weight.cols() / cells;
  turned.resize(inputs * groups, outputs * down.taps * across.taps);
  for (Index row = 0; row < weight.rows(); ++row) {
    const Index group = row / outputs;
    for (Index c = 0; c < inputs; ++c) {
      float* to = &turned(group * inputs + c, row % outputs * down.taps * across.taps);
      const float* from = weight.data() + row * weight.cols() + c * cells;
      for (Index i = down.taps; i-- > 0;) {
        for (Index j = across.taps; j-- > 0;)
          *to++ = from[(down.tap + i * down.step) * kernel_columns + across.tap + j * across.step];
      }
    }
  }
}

}  // namespace

void add_kernel_gradient(const Sliding& sliding, Index groups, const Matrix& in, const Matrix& grad_out,
                         Matrix& grad_weight) {
  const Index positions = sliding.positions();
  const Index channels = sliding.channels() / groups;
  const Index outputs = grad_weight.rows() / groups;
  const Index depth = grad_weight.cols();
  Padded padded(sliding, channels);
  const Index panels = (outputs + panel_width - 1) / panel_width;
  std::vector<float> sums(static_cast<std::size_t>(groups * panels * depth * panel_width), 0.0F);
  std::vector<float> above(static_cast<std::size_t>(positions * panel_width), 0.0F);
  const Index passes = (positions + pass_depth - 1) / pass_depth;
  const Index step = (positions + passes - 1) / passes;
  for (Index n = 0; n < in.rows(); ++n) {
    padded.fill(sliding, in.data() + n * in.cols());
    for (Index panel = 0; panel < groups * panels; ++panel) {
      const Index group = panel / panels;
      const Index first_output = panel % panels * panel_width;
      const Index width = std::min(panel_width, outputs - first_output);
      to_lanes(grad_out.data() + n * grad_out.cols() + (group * outputs + first_output) * positions,
               positions, width, above.data());
      const float* image = padded.values.data() + padded.at(group * channels, 0, 0);
      float* to = sums.data() + panel * depth * panel_width;
      for (Index first = 0; first < positions; first += step) {
        const Index count = std::min(step, positions - first);
        correlate_all(image, padded, width, first, count, above.data() + first * panel_width, to);
      }
    }
  }
  for (Index row = 0; row < grad_weight.rows(); ++row) {
    const Index output = row % outputs;
    const Index panel = row / outputs * panels + output / panel_width;
    const float* from = sums.data() + panel * depth * panel_width + output % panel_width;
    for (Index tap = 0; tap < depth; ++tap) grad_weight(row, tap) += from[tap * panel_width];
  }
}

bool input_gradient(const Sliding& sliding, Index groups, const Matrix& weight, const Matrix& grad_out,
                    Matrix& grad_in) {
  const Window& window = sliding.window();
  const auto down = phases(sliding.height(), window.kernel[0], window.stride[0], window.dilation[0],
                           window.padding[0], sliding.rows());
  const auto across = phases(sliding.width(), window.kernel[1], window.stride[1], window.dilation[1],
                             window.padding[1], sliding.columns());
  if (!down || !across) return false;
  grad_in.resize(grad_out.rows(), sliding.channels() * sliding.height() * sliding.width());
  const bool whole = window.stride[0] == 1 && window.stride[1] == 1;
  if (!whole) grad_in.setZero();
  thread_local PackedConv packed;
  Weights turned;
  Matrix part;
  for (const Phase& y : *down) {
    for (const Phase& x : *across) {
      turn(weight, groups, window.kernel[1], sliding.taps(), y, x, turned.weight);
      const Window back{
          {y.taps, x.taps}, {1, 1}, {y.dilation, x.dilation}, {y.before, x.before, y.after, x.after}};
      packed.pack(Sliding(back, {{weight.rows(), sliding.rows(), sliding.columns()}}), groups, turned);
      if (whole) {
        packed.multiply({grad_out.data(), grad_out.cols(), nullptr}, grad_out.rows(), grad_in.data(),
                        grad_in.cols());
        continue;
      }
      part.resize(1, sliding.channels() * y.count * x.count);
      for (Index n = 0; n < grad_out.rows(); ++n) {
        packed.multiply({grad_out.data() + n * grad_out.cols(), grad_out.cols(), nullptr}, 1, part.data(),
                        part.cols());
        const float* from = part.data();
        float* image = grad_in.data() + n * grad_in.cols();
        for (Index c = 0; c < sliding.channels(); ++c) {
          for (Index m = 0; m < y.count; ++m, from += x.count) {
            float* to = image + (c * sliding.height() + y.residue + m * window.stride[0]) * sliding.width() +
                        x.residue;
            for (Index k = 0; k < x.count; ++k) to[k * window.stride[1]] = from[k];
          }
        }
      }
    }
  }
  return true;
}

}  // namespace temblor
