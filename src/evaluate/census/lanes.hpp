#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <temblor/network/types.hpp>

namespace temblor::census {

/// Eight floats, and masks of the same shape: 0 or -1 a lane.
using Floats __attribute__((vector_size(32), aligned(4), may_alias)) = float;
using Masks __attribute__((vector_size(32))) = std::int32_t;
constexpr Index width = 8;

inline Floats load(const float* from) {
  return *reinterpret_cast<const Floats*>(from);
}
inline Masks load(const std::int32_t* from) {
  using Unaligned __attribute__((vector_size(32), aligned(4), may_alias)) = std::int32_t;
  return *reinterpret_cast<const Unaligned*>(from);
}
inline bool any(Masks masks) {
  using Halves __attribute__((vector_size(32))) = std::int64_t;
  const auto halves = reinterpret_cast<Halves>(masks);
  return (halves[0] | halves[1] | halves[2] | halves[3]) != 0;
}
inline Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}
inline float largest(Floats values) {
  float most = values[0];
  for (int lane = 1; lane < width; ++lane) most = values[lane] > most ? values[lane] : most;
  return most;
}
/// To float, never below.
inline float round_up(double value) {
  return std::nextafter(static_cast<float>(value), std::numeric_limits<float>::infinity());
}

}  // namespace temblor::census
