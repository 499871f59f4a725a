#include "wide_lanes.hpp"

#include <atomic>

namespace temblor {
namespace {

bool supported() {
#if TEMBLOR_HAS_WIDE
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0;
#else
  return false;
#endif
}

std::atomic<bool> in_force{supported()};

}  // namespace

bool wide_vectors() {
  return in_force.load(std::memory_order_relaxed);
}

bool use_wide_vectors(bool on) {
  return in_force.exchange(on && supported(), std::memory_order_relaxed);
}

}  // namespace temblor
