#include "conv_pass.hpp"
#include "wide_lanes.hpp"

#include <temblor/base/error.hpp>

namespace temblor {

#if TEMBLOR_HAS_WIDE
namespace {

/// The positions at the given corners; a vector a panel.
template <int Positions, int Panels>
TEMBLOR_WIDE void run_tile(const ConvPass& pass, Index at, Index sums_step) {
  const float* in[Positions];
  for (int p = 0; p < Positions; ++p) in[p] = pass.image + pass.corners[at + p];
  float* sums = pass.sums + at * panel_width;
  wide::Lanes acc[Positions][Panels];
  for (int v = 0; v < Panels; ++v) {
    for (int p = 0; p < Positions; ++p)
      acc[p][v] = wide::load(pass.bias != nullptr ? pass.bias + v * panel_width
                                                  : sums + v * sums_step + p * panel_width);
  }
  const float* weights = pass.weights;
  for (Index k = 0; k < pass.n; ++k, weights += panel_width) {
    wide::Lanes w[Panels];
    for (int v = 0; v < Panels; ++v) w[v] = wide::load(weights + v * pass.weights_step);
    const std::ptrdiff_t offset = pass.offsets[k];
    for (int p = 0; p < Positions; ++p) {
      const wide::Lanes value = _mm512_set1_ps(in[p][offset]);
      for (int v = 0; v < Panels; ++v) acc[p][v] = _mm512_fmadd_ps(value, w[v], acc[p][v]);
    }
  }
  for (int v = 0; v < Panels; ++v) {
    for (int p = 0; p < Positions; ++p) wide::store(sums + v * sums_step + p * panel_width, acc[p][v]);
  }
}

constexpr int run = 8;

/// Runs of eight positions that follow each other in the image, one panel: no register holds a pointer of a
/// position, so that more sums fit.
template <int Runs>
TEMBLOR_WIDE void run_rows(const ConvPass& pass, Index at) {
  const float* in[Runs];
  for (int r = 0; r < Runs; ++r) in[r] = pass.image + pass.corners[at + r * run];
  float* sums = pass.sums + at * panel_width;
  wide::Lanes acc[Runs][run];
  for (int r = 0; r < Runs; ++r) {
    for (int p = 0; p < run; ++p)
      acc[r][p] = wide::load(pass.bias != nullptr ? pass.bias : sums + (r * run + p) * panel_width);
  }
  const float* weights = pass.weights;
  for (Index k = 0; k < pass.n; ++k, weights += panel_width) {
    const wide::Lanes w = wide::load(weights);
    const std::ptrdiff_t offset = pass.offsets[k];
    for (int r = 0; r < Runs; ++r) {
      const float* from = in[r] + offset;
      for (int p = 0; p < run; ++p) acc[r][p] = wide::multiply_add(from[p], w, acc[r][p]);
    }
  }
  for (int r = 0; r < Runs; ++r) {
    for (int p = 0; p < run; ++p) wide::store(sums + (r * run + p) * panel_width, acc[r][p]);
  }
}

/// Whether this and the next positions are `runs` such runs. Corners ascend.
bool follow(const ConvPass& pass, Index at, Index positions, int runs) {
  if (at + runs * run > positions) return false;
  const std::int32_t* corner = pass.corners + at;
  for (int r = 0; r < runs; ++r, corner += run) {
    if (corner[run - 1] - corner[0] != run - 1) return false;
  }
  return true;
}

TEMBLOR_WIDE void run_one(const ConvPass& pass, Index positions) {
  for (Index at = 0; at < positions;) {
    const Index left = positions - at;
    if (follow(pass, at, positions, 3)) {
      run_rows<3>(pass, at);
      at += 3 * run;
    } else if (follow(pass, at, positions, 2)) {
      run_rows<2>(pass, at);
      at += 2 * run;
    } else if (left >= 12) {
      run_tile<12, 1>(pass, at, 0);
      at += 12;
    } else if (left >= 4) {
      run_tile<4, 1>(pass, at, 0);
      at += 4;
    } else {
      run_tile<1, 1>(pass, at, 0);
      ++at;
    }
  }
}

TEMBLOR_WIDE void run_two(const ConvPass& pass, Index positions) {
  const Index step = positions * panel_width;
  Index at = 0;
  for (; at + 8 <= positions; at += 8) run_tile<8, 2>(pass, at, step);
  for (; at + 4 <= positions; at += 4) run_tile<4, 2>(pass, at, step);
  for (; at < positions; ++at) run_tile<1, 2>(pass, at, step);
}

}  // namespace

void run_pass_wide(const ConvPass& pass, Index positions, int panels) {
  if (panels == 2) return run_two(pass, positions);
  run_one(pass, positions);
}

#else

void run_pass_wide(const ConvPass&, Index, int) {
  ensure(false, "wide vectors are there");
}

#endif

}  // namespace temblor
