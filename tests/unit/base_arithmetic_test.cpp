#include <Eigen/Core>
#include <catch2/catch.hpp>

#include <temblor/base/arithmetic.hpp>

TEST_CASE("block sizes of matrix products do not come from the host's caches") {
  Eigen::setCpuCacheSizes(1, 2, 3);
  temblor::fix_arithmetic();
  CHECK(Eigen::l1CacheSize() == 32 * 1024);
  CHECK(Eigen::l2CacheSize() == 1024 * 1024);
  CHECK(Eigen::l3CacheSize() == 16 * 1024 * 1024);
}
