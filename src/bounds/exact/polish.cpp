#include "member.hpp"

#include <algorithm>
#include <numeric>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/bounds/exact.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/tail.hpp>
#include <temblor/perturb/sample.hpp>

namespace temblor {
namespace {

void polish_chain(const Network& network, const Dataset& data, const ThreatSet& set, const EntryBox* entry,
                  int rivals, int sweeps, SampleDelta& delta) {
  using namespace exact;
  if (network.layers() < 2) return;
  const Chain chain(network, set.radius);
  const std::size_t base = base_layer(network, set.radius);
  const auto members_of = [&](Index n) -> Members {
    if (set.input == 0) return still_members(chain, base, data, entry, n);
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

}  // namespace

void polish_worst(const Network& network, const Dataset& data, const ThreatSet& set, int rivals, int sweeps,
                  SampleDelta& delta) {
  if (refuses_linear_chain(network, set).empty()) {
    polish_chain(network, data, set, nullptr, rivals, sweeps, delta);
    return;
  }
  const DenseTail tail(network, set);
  const EntryBox entry = tail.entry(data, false);
  SampleDelta of_tail = tail.of_tail(delta);
  polish_chain(tail.network(), tail.data(data, entry), tail.set(), &entry, rivals, sweeps, of_tail);
  delta = tail.of_whole(of_tail);
}

}  // namespace temblor
