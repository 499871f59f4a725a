#include <catch2/catch.hpp>
#include <support/tiny.hpp>
#include <tbb/global_control.h>

#include <temblor/bounds/bound.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("bounds have the same bytes with one thread and with many") {
  Stream stream(31, {});
  const auto net = tiny(stream, {{12, 10, 8, 4}, "relu", true, false, 1000});
  const auto set = linf_set(net.network, 0.01, {0, 1, 2}, true);
  for (const auto& bound : bound_table()) {
    const auto run = [&](std::size_t threads) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      return bound.compute({net.network, net.data, set, true, checked_params(bound, {})});
    };
    const auto one = run(1);
    for (const std::size_t threads : {2U, 5U}) {
      const auto many = run(threads);
      INFO(bound.name << " with " << threads);
      CHECK(one.value == many.value);
      CHECK(one.arithmetic == many.arithmetic);
    }
  }
}
