#include "member.hpp"

#include <algorithm>
#include <numeric>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/bounds/exact.hpp>

namespace temblor {

void polish_worst(const Network& network, const Dataset& data, const ThreatSet& set, int rivals, int sweeps,
                  SampleDelta& delta) {
  using namespace exact;
  if (network.layers() < 2) return;
  const Chain chain(network, set.radius);
  const std::size_t base = base_layer(network, set.radius);
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, data.size(), [&](Index n) {
      const auto label = data.labels[static_cast<std::size_t>(n)];
      std::vector<VectorD> start;
      for (std::size_t m = 0; m < chain.hidden(); ++m) {
        start.push_back(VectorD::Zero(chain.layers[m].weight.rows()));
        if (delta.slack[m].size() != 0) start.back() = delta.slack[m].row(n).transpose().cast<double>();
      }
      Members members(chain, base, data.images.row(n).transpose().cast<double>());
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
      if (best.empty()) return;
      for (const int layer : set.layers) {
        const auto m = static_cast<std::size_t>(layer);
        if (m < chain.hidden()) {
          delta.slack[m].row(n) = best[m].transpose().cast<float>();
        } else {
          delta.slack[m].row(n).setOnes();
          delta.slack[m](n, label) = -1;
        }
      }
    });
  });
}

}  // namespace temblor
