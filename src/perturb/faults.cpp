#include <utility>

#include <temblor/perturb/faults.hpp>

namespace temblor {

std::vector<BitFault> flips_of(const std::vector<Encoded>& codes, const std::vector<BitAddress>& bits) {
  std::vector<BitFault> faults;
  faults.reserve(bits.size());
  for (const auto& at : bits) {
    const bool again = !faults.empty() && faults.back().layer == at.layer && faults.back().index == at.index;
    const std::uint32_t before = again ? faults.back().after : codes[at.layer].codes[at.index];
    faults.push_back({at.layer, at.index, at.bit, before, before ^ (1U << at.bit)});
  }
  return faults;
}

Perturbation with_faults(const std::vector<Encoded>& codes, std::vector<BitFault> faults) {
  SparseDelta delta;
  for (const auto& fault : faults) {
    const bool again = !delta.changes.empty() && delta.changes.back().layer == fault.layer &&
                       delta.changes.back().index == fault.index;
    if (!again) delta.changes.push_back({fault.layer, fault.index, 0});
    delta.changes.back().after = codes[fault.layer].decode(fault.index, fault.after);
  }
  return {std::move(delta), std::move(faults)};
}

}  // namespace temblor
