#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

/// One bit of the stored codes: weighted layer, weight (row-major in [outputs x inputs]), bit (0 = least
/// significant).
struct BitAddress {
  std::uint32_t layer;
  std::uint32_t index;
  std::uint32_t bit;
  auto operator<=>(const BitAddress&) const = default;
};

/// The flips of `bits` of `codes` (one Encoded a weighted layer) as records: the words before and after count
/// the earlier flips of the same word. `bits` sorted, without repeats.
std::vector<BitFault> flips_of(const std::vector<Encoded>& codes, const std::vector<BitAddress>& bits);

/// What faults do to the weights: every weight with a faulted code takes the decoded value of its last word.
/// `faults` as flips_of gives them.
Perturbation with_faults(const std::vector<Encoded>& codes, std::vector<BitFault> faults);

}  // namespace temblor
