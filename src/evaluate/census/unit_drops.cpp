#include "lanes.hpp"
#include "unit.hpp"

#include <algorithm>
#include <cmath>

namespace temblor::census {

/// Worst drops of the faults of one sign and level.
void UnitCensus::drops(Index input, int level, std::size_t sign) {
  const bool negative = tables_->negative[static_cast<std::size_t>(input)];
  if (!any_steep_[level][sign] && !(negative && any_steep_[level][1 - sign])) return;
  const float* z = tables_->inputs.data() + input * tables_->stride;
  const float* with = steep_[level][sign].data();         // images with a positive input
  const float* against = steep_[level][1 - sign].data();  // with a negative one
  const auto bound = [&](Index v) {
    const Floats x = load(z + v);
    const Floats here = x * load(with + v);
    return negative ? larger(here, -x * load(against + v)) : here;
  };
  const auto chunks = static_cast<std::size_t>(tables_->stride / chunk);
  chunk_most_.resize(chunks);
  std::size_t steepest = 0;
  for (std::size_t c = 0; c < chunks; ++c) {
    Floats most{};
    const Index first = static_cast<Index>(c) * chunk;
    for (Index v = first; v < first + chunk; v += width) most = larger(bound(v), most);
    const float top = largest(most);
    chunk_most_[c] = top;
    if (top > chunk_most_[steepest]) steepest = c;
  }
  if (!(chunk_most_[steepest] > 0.0F)) return;
  for (const Fault& fault : faults_[sign]) {
    if (fault.level != level) continue;
    const auto widened = static_cast<float>(fault.size * (1 + 1e-6));
    double best = 0;
    std::int32_t worst = -1;
    const auto look = [&](std::size_t c) {
      const Index first = static_cast<Index>(c) * chunk;
      for (Index v = first; v < first + chunk; v += width) {
        const Floats most = bound(v) * widened;
        const auto floor = static_cast<float>(best * (1 - 1e-6));
        if (!any((most >= floor) & (most > 0.0F))) continue;
        for (Index n = v; n < v + width; ++n) {
          if (!(most[n - v] >= floor && most[n - v] > 0.0F)) continue;
          const double distance = fault.size * std::fabs(static_cast<double>(z[n]));
          const double value =
              rays_.drop(z[n] < 0.0F ? 1 - sign : sign, static_cast<std::size_t>(n), distance);
          const auto row = static_cast<std::int32_t>(n);
          if (value > best || (value == best && value > 0 && row < worst)) {
            best = value;
            worst = row;
          }
        }
      }
    };
    look(steepest);
    for (std::size_t c = 0; c < chunks; ++c) {
      const float most = chunk_most_[c] * widened;
      if (c != steepest && most > 0.0F && most >= static_cast<float>(best * (1 - 1e-6))) look(c);
    }
    if (worst >= 0) drop(place(input, fault.bit), worst, best);
  }
}

}  // namespace temblor::census
