#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <temblor/campaign/rates.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {

/// "a=1 b=0.5" as a map.
std::map<std::string, std::string> parameter_words(const std::string& canonical);
/// Bits of a word that a point with these parameters (field, bit; all when missing) draws from.
std::set<int> chosen_bits(const std::map<std::string, std::string>& words, const Format& format);

/// Points of one campaign that sample disjoint parts of one population of single faults: same attack,
/// severity, protection and parameters but for layers, field and bit.
struct Stratification {
  std::vector<std::int64_t> points;  ///< two and more
  std::int64_t population = 0;       ///< faults of all of them
};
/// All of a result file, in the order of their first points. Points whose layers and bits overlap with
/// another's are no strata.
std::vector<Stratification> stratifications(const ResultFile& file);
/// The combined estimate.
Estimate stratified_rate(const ResultFile& file, const Stratification& strata, const Rate& rate,
                         IntervalMethod method, double confidence = 0.95);

}  // namespace temblor
