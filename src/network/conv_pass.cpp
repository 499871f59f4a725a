#include "conv_pass.hpp"

#include <array>

namespace temblor {
namespace {

constexpr std::size_t tile = 6;          // positions a tile of two vectors: 12 accumulators of 16 registers
constexpr std::size_t narrow_tile = 10;  // of one vector

template <std::size_t P, std::size_t Vectors>
inline void run_tile(const ConvPass& pass, Index position) {
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
Index run_tiles(const ConvPass& pass, Index position, Index end) {
  for (; position + static_cast<Index>(P) <= end; position += static_cast<Index>(P))
    run_tile<P, Vectors>(pass, position);
  return position;
}

}  // namespace

void run_pass(const ConvPass& pass, Index positions, bool narrow) {
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

}  // namespace temblor
