#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/campaign/census_file.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/stats/proportion.hpp>

namespace temblor {

/// How often the intervals of a sampled campaign hold the true share of faults with some effect, which a
/// census knows.
struct CoverageRow {
  std::int64_t point = 0;
  std::string event;            ///< what the fault does
  std::int64_t population = 0;  ///< faults that the point draws from
  double truth = 0;             ///< share of the population, from the census
  std::int64_t trials = 0;      ///< successful trials
  std::int64_t hits = 0;        ///< trials with the event
  ConfidenceInterval wilson{};  ///< 95 %, from all trials
  ConfidenceInterval exact{};   ///< Clopper-Pearson, 95 %
  /// The trials cut, in their order, into groups that are small campaigns of their own.
  std::int64_t groups = 0;
  std::int64_t wilson_covers = 0;  ///< groups whose interval holds the truth
  std::int64_t exact_covers = 0;

  /// Clopper-Pearson intervals cover with at least 95 %: fewer covering groups than chance allows (one in a
  /// million) mean that campaign and census contradict each other.
  bool contradicted() const;
};

/// A point that a census says nothing about.
struct Uncovered {
  std::int64_t point = 0;
  std::string reason;
};

struct Coverage {
  std::vector<CoverageRow> rows;  ///< in the order point, event
  std::vector<Uncovered> left;
};

/// Points of single random bit flips (bit-flip, mode=count, one flip) in the census's format whose layers and
/// bits the census has. Bad-input error when the files are of different networks or images.
Coverage coverage(const CensusFile& census, const ResultFile& sampled, std::int64_t group);

}  // namespace temblor
