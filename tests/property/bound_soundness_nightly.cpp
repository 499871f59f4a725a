#include <catch2/catch.hpp>
#include <support/soundness.hpp>

using namespace temblor::testing;

TEST_CASE("soundness: every bound on every kind of set it accepts, ten thousand random networks a kind") {
  for (const auto& [kind, bounds] : hold_all_bounds(10000, 51)) CHECK_FALSE(bounds.empty());
}
