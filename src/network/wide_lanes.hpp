#pragma once

// Vectors of 16 floats, compiled in beside those of lanes.hpp and used where the processor has them
// (vectors.hpp). Functions that use them carry TEMBLOR_WIDE, and are called from others alone behind
// wide_vectors().

#include <temblor/network/types.hpp>
#include <temblor/network/vectors.hpp>

#if defined(__x86_64__) && defined(__AVX2__) && defined(__FMA__) && defined(__GNUC__)
#include <immintrin.h>

#define TEMBLOR_HAS_WIDE 1
#define TEMBLOR_WIDE [[gnu::target("avx512f,avx512vl,avx512bw,avx512dq")]]

namespace temblor::wide {

using Lanes = __m512;
constexpr Index lanes = 16;

TEMBLOR_WIDE inline Lanes load(const float* from) {
  return _mm512_loadu_ps(from);
}
TEMBLOR_WIDE inline void store(float* to, Lanes values) {
  _mm512_storeu_ps(to, values);
}
TEMBLOR_WIDE inline Lanes multiply_add(float a, Lanes b, Lanes c) {
  return _mm512_fmadd_ps(_mm512_set1_ps(a), b, c);
}

}  // namespace temblor::wide
#else
#define TEMBLOR_HAS_WIDE 0
#endif
