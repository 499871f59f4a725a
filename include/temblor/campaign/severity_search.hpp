#pragma once

#include <functional>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// The severities that a search may ask about, ascending. All images share them, so that those at the same
/// severity are asked about together.
class SeverityGrid {
 public:
  /// 2^(k/n) for whole k, within [least, most], n so that neighbours differ by at most `tolerance`
  /// (relative). Usage error unless 0 < least < most and tolerance in [1e-6, 1].
  static SeverityGrid geometric(double least, double most, double tolerance);
  /// Every whole number from max(1, least) to most.
  static SeverityGrid whole(std::int64_t least, std::int64_t most);

  Index size() const { return static_cast<Index>(severities_.size()); }
  double operator[](Index k) const { return severities_[static_cast<std::size_t>(k)]; }
  Index last_up_to(
      double severity) const;  ///< largest k with severity k <= `severity`; -1 when there is none
  Index first_from(double severity) const;  ///< smallest k with severity k >= `severity`; size() when none

 private:
  std::vector<double> severities_;
};

/// An image's answer at one severity.
struct Answer {
  bool holds;
  /// Where the property stands: below 1 where it holds, above 1 where it does not, growing with the severity.
  /// Used to choose the next question only; NaN or infinite where nothing is known.
  double load;
};

/// What is known of one image: the property holds at index `holds` (-1: nowhere yet) and fails at `fails`
/// (size(): nowhere yet).
struct Bracket {
  Index holds = -1;
  Index fails = 0;
  double holds_load = 0;
  double fails_load = 0;
};
/// Nothing known.
Bracket open_bracket(const SeverityGrid& grid);

/// Answers for some images at one severity, in their order.
using Question = std::function<std::vector<Answer>(double severity, const std::vector<Index>& images)>;

/// Narrows every image's bracket until fails == holds + 1. Every third question
/// halves the bracket; the others are asked where log-log interpolation of the loads expects the boundary.
/// Images with the same next severity are one question; the questions of one round run in parallel. Whatever
/// the property, `holds` ends at a severity where the answer was yes (or at -1) and `fails` at one where it
/// was no (or at size()).
void narrow(const SeverityGrid& grid, std::vector<Bracket>& brackets, const Question& question);

}  // namespace temblor
