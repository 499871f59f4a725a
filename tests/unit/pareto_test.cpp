#include <limits>

#include <catch2/catch.hpp>

#include <temblor/report/protection_rows.hpp>

using namespace temblor;

TEST_CASE("the Pareto front keeps what nothing beats in both ways") {
  using Front = std::vector<bool>;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(pareto_front({0, 1, 2, 3}, {5, 4, 4, 1}) == Front{true, true, false, true});
  CHECK(pareto_front({0, 0}, {1, 1}) == Front{true, true});
  CHECK(pareto_front({0, 0}, {1, 2}) == Front{true, false});
  CHECK(pareto_front({1, 0}, {nan, 2}) == Front{false, true});
  CHECK(pareto_front({}, {}).empty());
}
