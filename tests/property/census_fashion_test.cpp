#include <catch2/catch.hpp>
#include <support/census.hpp>

using temblor::testing::check_census_on_fashion;

TEST_CASE("census on Fashion-MNIST counts as full inference does") {
  check_census_on_fashion("784-16-12-10", "fp32", 300, 400);
  check_census_on_fashion("784-16-10", "int8-affine-channel", 300, 200);
}
