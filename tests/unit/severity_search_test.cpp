#include <atomic>
#include <cmath>

#include <catch2/catch.hpp>

#include <temblor/campaign/severity_search.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

TEST_CASE("severity grid: within its range, no step above the tolerance, rounding to either side") {
  const auto grid = SeverityGrid::geometric(1e-4, 0.5, 0.02);
  REQUIRE(grid.size() > 400);
  CHECK(grid[0] >= 1e-4);
  CHECK(grid[grid.size() - 1] <= 0.5);
  for (Index k = 1; k < grid.size(); ++k) {
    CHECK(grid[k] > grid[k - 1]);
    CHECK(grid[k] <= grid[k - 1] * 1.02 * (1 + 1e-12));
  }
  CHECK(grid.last_up_to(grid[7]) == 7);
  CHECK(grid.first_from(grid[7]) == 7);
  CHECK(grid.last_up_to(std::nextafter(grid[7], 0.0)) == 6);
  CHECK(grid.first_from(std::nextafter(grid[7], 1.0)) == 8);
  CHECK(grid.last_up_to(1e-5) == -1);
  CHECK(grid.first_from(0.9) == grid.size());
  const auto whole = SeverityGrid::whole(0, 5);
  CHECK(whole.size() == 5);
  CHECK(whole[4] == 5);
}

TEST_CASE("severity grid: ranges and tolerances that are none are refused") {
  CHECK_THROWS(SeverityGrid::geometric(0, 1, 0.01));
  CHECK_THROWS(SeverityGrid::geometric(1, 1, 0.01));
  CHECK_THROWS(SeverityGrid::geometric(1e-3, 1, 0));
  CHECK_THROWS(SeverityGrid::geometric(1e-3, 1, 2));
}

TEST_CASE("narrow finds the boundary of every image in few questions, whatever the loads look like") {
  const auto grid = SeverityGrid::geometric(1e-7, 1, 0.01);
  constexpr Index images = 300;
  for (const double power : {0.2, 1.0, 3.0}) {
    Stream stream(1, {});
    std::vector<double> boundary;
    for (Index n = 0; n < images; ++n) boundary.push_back(std::pow(10.0, -8 + 9 * stream.uniform()));
    std::atomic<Index> asked{0};
    std::vector<Bracket> brackets(images, open_bracket(grid));
    narrow(grid, brackets, [&](double severity, const std::vector<Index>& rows) {
      asked += static_cast<Index>(rows.size());
      std::vector<Answer> answers;
      for (const Index n : rows) {
        const double at = boundary[static_cast<std::size_t>(n)];
        answers.push_back({severity <= at, std::pow(severity / at, power) * (1 + 0.2 * std::sin(severity))});
      }
      return answers;
    });
    for (Index n = 0; n < images; ++n) {
      const auto& bracket = brackets[static_cast<std::size_t>(n)];
      REQUIRE(bracket.holds == grid.last_up_to(boundary[static_cast<std::size_t>(n)]));
      REQUIRE(bracket.fails == bracket.holds + 1);
    }
    INFO(asked << " questions of " << images << " images");
    // Plain halving of these 1624 severities asks 10.7 times.
    CHECK(asked <= (power == 1.0 ? 6 : 10) * images);
  }
}

TEST_CASE("narrow ends at a yes beside a no where the property is not monotone or loads are no numbers") {
  const auto grid = SeverityGrid::geometric(1e-3, 1, 0.05);
  const auto holds = [](Index k, Index n) { return (k * 7 + n) % 5 < 3 && k < 100 + n; };
  std::vector<Bracket> brackets(20, open_bracket(grid));
  narrow(grid, brackets, [&](double severity, const std::vector<Index>& rows) {
    std::vector<Answer> answers;
    for (const Index n : rows)
      answers.push_back({holds(grid.first_from(severity), n), n % 2 == 0 ? std::nan("") : -1.0});
    return answers;
  });
  for (Index n = 0; n < 20; ++n) {
    const auto& bracket = brackets[static_cast<std::size_t>(n)];
    REQUIRE(bracket.fails == bracket.holds + 1);
    if (bracket.holds >= 0) CHECK(holds(bracket.holds, n));
    if (bracket.fails < grid.size()) CHECK_FALSE(holds(bracket.fails, n));
  }
}

TEST_CASE("narrow asks nothing about brackets that are closed") {
  const auto grid = SeverityGrid::whole(1, 10);
  std::vector<Bracket> brackets{{-1, 0, 0, 0}, {4, 5, 0, 0}};
  narrow(grid, brackets, [](double, const std::vector<Index>&) -> std::vector<Answer> { throw 1; });
  CHECK(brackets[1].holds == 4);
}
