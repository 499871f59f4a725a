#include "member.hpp"

#include <algorithm>
#include <numeric>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/bounds/exact.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor {

void polish_worst(const Network& network, const Dataset& data, const ThreatSet& set, int rivals, int sweeps,
                  SampleDelta& delta) {
  using namespace exact;
  if (network.layers() < 2) return;
  const Chain chain(network, set.radius);
  const std::size_t base = base_layer(network, set.radius);
  const auto members_of = [&](Index n) -> Members {
    if (set.input == 0) return {chain, base, data.images.row(n).transpose().cast<double>()};
    const auto [least, most] = image_ends(data, n, 1, set.input);
    return {chain, least.row(0).transpose().cast<double>(), most.row(0).transpose().cast<double>()};
  };
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, data.size(), [&](Index n) {
      const auto label = data.labels[static_cast<std::size_t>(n)];
      const std::vector<VectorD> start = taken(delta, chain, data, n);
      Members members = members_of(n);
      std::vector<std::pair<double, std::int32_t>> order;
      for (std::int32_t j = 0; j < network.classes(); ++j) {
        if (j == label) continue;
        members.aim(label, j);
        members.load(start);
        order.emplace_back(members.margin(), j);
      }
      std::sort(order.begin(), order.end());
      order.resize(std::min(order.size(), static_cast<std::size_t>(std::max(1, rivals))));
      double lowest = std::numeric_limits<double>::infinity();
      std::vector<VectorD> best;
      for (const auto& [margin, j] : order) {
        members.aim(label, j);
        members.load(start);
        if (members.polish(sweeps) >= lowest) continue;
        lowest = members.margin();
        best = members.slack();
      }
      if (!best.empty()) put(best, data, n, delta);
    });
  });
}

}  // namespace temblor
