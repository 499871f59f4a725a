#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/perturb/fault_map.hpp>

namespace temblor {
namespace {

/// Group of a probability in (0, 1]: k where p is in (2^-k-1, 2^-k].
std::size_t group_of(double probability) {
  int exponent = 0;
  const double fraction = std::frexp(probability, &exponent);  // in [1/2, 1)
  return static_cast<std::size_t>(fraction == 0.5 ? 1 - exponent : -exponent);
}

bool acts(const MapEntry& entry, const std::vector<Encoded>& codes) {
  if (entry.kind == FaultKind::flip) return true;
  const std::uint32_t held = (codes[entry.at.layer].codes[entry.at.index] >> entry.at.bit) & 1U;
  return held != (entry.kind == FaultKind::stuck_at_1 ? 1U : 0U);
}

}  // namespace

FaultMap::FaultMap(std::vector<MapEntry> entries, std::optional<std::int64_t> trials)
    : entries_(std::move(entries)), trials_(trials) {
  std::sort(entries_.begin(), entries_.end(), [](const MapEntry& a, const MapEntry& b) {
    return a.trial != b.trial ? a.trial < b.trial : a.at < b.at;
  });
  for (std::size_t i = 0; i < entries_.size() && entries_[i].trial < 0; ++i) {
    const double p = entries_[i].probability;
    if (p == 0) continue;
    const auto group = group_of(p);
    if (groups_.size() <= group) groups_.resize(group + 1);
    groups_[group].push_back(static_cast<std::uint32_t>(i));
  }
}

std::vector<BitAddress> FaultMap::drawn(const Stream& stream, double scale,
                                        const std::vector<Encoded>& codes) const {
  const auto trial = static_cast<std::int64_t>(stream.id().trial);
  if (trials_ && trial >= *trials_) {
    usage_error("trial " + std::to_string(trial),
                "the fault file lists trials 0 to " + std::to_string(*trials_ - 1), "run no more trials");
  }
  Stream draws = stream;
  std::vector<BitAddress> bits;
  for (std::size_t k = 0; k < groups_.size(); ++k) {
    // No entry of the group is likelier than `most`: draw with it, then keep each with its own share of it.
    const double most = std::min(1.0, scale * std::ldexp(1.0, -static_cast<int>(k)));
    for (const std::uint64_t hit : choose_each(draws, groups_[k].size(), most)) {
      const MapEntry& entry = entries_[groups_[k][hit]];
      const double own = std::min(1.0, scale * entry.probability);
      if (own < most && !(draws.uniform() * most < own)) continue;
      if (acts(entry, codes)) bits.push_back(entry.at);
    }
  }
  const auto first = std::lower_bound(entries_.begin(), entries_.end(), trial,
                                      [](const MapEntry& a, std::int64_t t) { return a.trial < t; });
  for (auto entry = first; entry != entries_.end() && entry->trial == trial; ++entry) {
    const double own = std::min(1.0, scale * entry->probability);
    if (own < 1 && !(draws.uniform() < own)) continue;
    if (acts(*entry, codes)) bits.push_back(entry->at);
  }
  std::sort(bits.begin(), bits.end());
  return bits;
}

}  // namespace temblor
