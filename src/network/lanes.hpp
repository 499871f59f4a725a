#pragma once

#include <algorithm>
#include <array>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#endif

#include <temblor/network/types.hpp>

namespace temblor {

#if defined(__AVX2__) && defined(__FMA__)
using Lanes = __m256;
inline Lanes load(const float* from) {
  return _mm256_loadu_ps(from);
}
inline void store(float* to, Lanes lanes) {
  _mm256_storeu_ps(to, lanes);
}
inline Lanes multiply_add(float a, Lanes b, Lanes c) {
  return _mm256_fmadd_ps(_mm256_set1_ps(a), b, c);
}
/// Row i of the result holds entry i of every row.
inline void transpose(Lanes (&rows)[8]) {
  Lanes a[8], b[8];
  for (std::size_t i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xEE);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xEE);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
  }
}
#else
struct Lanes {
  std::array<float, 8> lane;
};
inline Lanes load(const float* from) {
  Lanes lanes;
  std::copy_n(from, 8, lanes.lane.begin());
  return lanes;
}
inline void store(float* to, const Lanes& lanes) {
  std::copy_n(lanes.lane.begin(), 8, to);
}
inline Lanes multiply_add(float a, const Lanes& b, Lanes c) {
  for (std::size_t i = 0; i < 8; ++i) c.lane[i] += a * b.lane[i];
  return c;
}
/// Row i of the result holds entry i of every row.
inline void transpose(Lanes (&rows)[8]) {
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = i + 1; j < 8; ++j) std::swap(rows[i].lane[j], rows[j].lane[i]);
  }
}
#endif

constexpr Index lanes = 8;

/// A row of a plane; most are too short for a call.
inline void copy_row(const float* from, Index n, float* to) {
  Index x = 0;
  for (; x + lanes <= n; x += lanes) store(to + x, load(from + x));
  if (x < n && n >= lanes) {
    store(to + n - lanes, load(from + n - lanes));
  } else {
    for (; x < n; ++x) to[x] = from[x];
  }
}

constexpr Index panel_width = 2 * lanes;  ///< outputs a panel: two vectors
constexpr Index pass_depth = 320;  ///< terms a pass: a panel's slice (20 KiB) stays in the first-level cache

}  // namespace temblor
