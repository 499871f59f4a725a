#include <catch2/catch.hpp>
#include <support/census.hpp>

using temblor::testing::check_census_on_fashion;

TEST_CASE("census of 784-128-64-32-10 over all test images counts as full inference does") {
  check_census_on_fashion("784-128-64-32-10", "fp32", 10000, 1000);
}
