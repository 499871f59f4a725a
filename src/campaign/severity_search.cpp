#include <algorithm>
#include <cmath>
#include <map>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/severity_search.hpp>

namespace temblor {
namespace {

bool known(double load) {
  return std::isfinite(load) && load > 0;
}

/// Severity at which the loads of the bracket's ends let expect a load of 1; 0 when they say nothing.
double expected(const SeverityGrid& grid, const Bracket& bracket) {
  const bool low = bracket.holds >= 0 && known(bracket.holds_load);
  const bool high = bracket.fails < grid.size() && known(bracket.fails_load);
  if (low && high) {
    const double rise = std::log(bracket.fails_load / bracket.holds_load);
    if (!(rise > 0)) return 0;
    const double width = std::log(grid[bracket.fails] / grid[bracket.holds]);
    return grid[bracket.holds] * std::exp(-std::log(bracket.holds_load) * width / rise);
  }
  // One end alone: as if the load were proportional to the severity.
  if (low) return grid[bracket.holds] / bracket.holds_load;
  if (high) return grid[bracket.fails] / bracket.fails_load;
  return 0;
}

Index next_question(const SeverityGrid& grid, const Bracket& bracket, bool interpolate) {
  const Index middle = bracket.holds + (bracket.fails - bracket.holds) / 2;
  if (!interpolate) return middle;
  const double severity = expected(grid, bracket);
  if (severity <= 0) return middle;
  // The index below the expected boundary is the one most likely to hold: with its neighbour the search ends.
  return std::clamp(grid.last_up_to(severity), bracket.holds + 1, bracket.fails - 1);
}

void learn(Bracket& bracket, Index k, const Answer& answer) {
  if (answer.holds) {
    bracket.holds = k;
    bracket.holds_load = answer.load;
  } else {
    bracket.fails = k;
    bracket.fails_load = answer.load;
  }
}

}  // namespace

SeverityGrid SeverityGrid::geometric(double least, double most, double tolerance) {
  if (!(least > 0) || !(most > least)) {
    usage_error("severities from " + to_text(least) + " to " + to_text(most), "no range to search",
                "give 0 < least < most");
  }
  if (!(tolerance >= 1e-6 && tolerance <= 1)) {
    usage_error("tolerance " + to_text(tolerance), "out of range", "give a number from 1e-6 to 1");
  }
  const double steps = std::ceil(1 / std::log2(1 + tolerance));
  SeverityGrid grid;
  const double from = std::floor(std::log2(least) * steps), to = std::ceil(std::log2(most) * steps);
  for (double k = from; k <= to; ++k) {
    const double severity = std::exp2(k / steps);
    if (severity >= least && severity <= most) grid.severities_.push_back(severity);
  }
  return grid;
}

SeverityGrid SeverityGrid::whole(std::int64_t least, std::int64_t most) {
  SeverityGrid grid;
  for (std::int64_t k = std::max<std::int64_t>(1, least); k <= most; ++k)
    grid.severities_.push_back(static_cast<double>(k));
  return grid;
}

Index SeverityGrid::last_up_to(double severity) const {
  return std::upper_bound(severities_.begin(), severities_.end(), severity) - severities_.begin() - 1;
}

Index SeverityGrid::first_from(double severity) const {
  return std::lower_bound(severities_.begin(), severities_.end(), severity) - severities_.begin();
}

Bracket open_bracket(const SeverityGrid& grid) {
  return {-1, grid.size(), 0, 0};
}

void narrow(const SeverityGrid& grid, std::vector<Bracket>& brackets, const Question& question) {
  for (int round_number = 0;; ++round_number) {
    const bool interpolate = round_number % 3 != 2;
    std::map<Index, std::vector<Index>> groups;
    for (std::size_t n = 0; n < brackets.size(); ++n) {
      if (brackets[n].fails - brackets[n].holds <= 1) continue;
      groups[next_question(grid, brackets[n], interpolate)].push_back(static_cast<Index>(n));
    }
    if (groups.empty()) return;
    const std::vector<std::pair<Index, std::vector<Index>>> round(groups.begin(), groups.end());
    tbb::parallel_for(std::size_t{0}, round.size(), [&](std::size_t g) {
      const auto& [k, images] = round[g];
      const auto answers = question(grid[k], images);
      ensure(answers.size() == images.size(), "one answer an image");
      for (std::size_t i = 0; i < images.size(); ++i)
        learn(brackets[static_cast<std::size_t>(images[i])], k, answers[i]);
    });
  }
}

}  // namespace temblor
