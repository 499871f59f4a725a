#pragma once

#include <cstdint>
#include <string>

#include <temblor/evaluate/census.hpp>

namespace temblor::testing {

/// Takes the census of a network trained on Fashion-MNIST in one format over `images` test images, and holds
/// `faults` random faults, half of them in the upper bits, against full inference. Skips with a printed line
/// where the set is missing.
void check_census_on_fashion(const std::string& arch, const std::string& format, int images, int faults);

/// Every bit of every weight.
CensusRequest every_fault(const StoredNetwork& stored);

/// What a comparison saw, so that a test can demand that it saw something.
struct CensusSeen {
  std::int64_t faults = 0;
  std::int64_t changed = 0;
  std::int64_t no_prediction = 0;
  std::int64_t fixed = 0;
  std::int64_t inferred = 0;
  std::int64_t infinite = 0;
};

/// Counts of the census equal those of full inference of every fault; worst drops agree to rounding. `block`
/// as in CensusRequest.
void check_census(const Network& network, const Dataset& data, const Format& format, CensusSeen& seen,
                  bool traced = true, Index block = 0);

}  // namespace temblor::testing
