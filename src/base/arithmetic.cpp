#include <Eigen/Core>

#include <temblor/base/arithmetic.hpp>

namespace temblor {

void fix_arithmetic() {
  constexpr std::ptrdiff_t kib = 1024;
  Eigen::setCpuCacheSizes(32 * kib, 1024 * kib, 16 * 1024 * kib);
}

}  // namespace temblor
