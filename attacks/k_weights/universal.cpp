#include "../pgd/blocks.hpp"
#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <temblor/perturb/project.hpp>

namespace temblor::few {
namespace {

/// A weight that may move, and the first-order gain of moving it to its better end.
struct Gain {
  double gain;
  Change change;
};

bool in_order(const Change& a, const Change& b) {
  return std::pair(a.layer, a.index) < std::pair(b.layer, b.index);
}

class Search {
 public:
  Search(const Network& network, const Dataset& data, const ThreatSet& set)
      : network_(network),
        set_(set),
        blocks_(network, data, set.layers, 0, pgd::Loss::cross_entropy),
        workspace_(network) {}

  SparseDelta run(const Options& options) {
    look({});
    for (std::int64_t step = 1; step <= options.steps; ++step) {
      const auto count = set_.budget.count * step / options.steps;
      look(chosen(gains(), count, current_));
    }
    for (std::int64_t sweep = 0; sweep < options.sweeps; ++sweep) {
      look(chosen(gains(), set_.budget.count, {}));
    }
    return best_;
  }

 private:
  /// Moves to `delta`, keeps it if it is the worst so far, and takes the gradient there.
  void look(SparseDelta delta) {
    current_ = std::move(delta);
    double loss = blocks_.run(workspace_.apply(current_), 0, true, gradient_).loss;
    workspace_.undo();
    if (std::isnan(loss)) loss = std::numeric_limits<double>::infinity();
    if (loss <= most_) return;
    most_ = loss;
    best_ = current_;
  }

  std::vector<Gain> gains() const {
    std::vector<Gain> all;
    for (std::size_t k = 0; k < set_.layers.size(); ++k) {
      const int layer = set_.layers[k];
      const double reach = set_.budget.each[static_cast<std::size_t>(layer)]->uniform;
      const Matrix& weight = network_.weights(layer).weight;
      const Matrix& gradient = gradient_[k].weight;
      for (Index i = 0; i < weight.size(); ++i) {
        const double slope = static_cast<double>(gradient.data()[i]);
        if (!(std::fabs(slope) > 0)) continue;
        all.push_back({std::fabs(slope) * reach,
                       {static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i),
                        moved(weight.data()[i], slope > 0 ? reach : -reach, reach)}});
      }
    }
    return all;
  }

  /// `kept`, and the best others until there are `count`.
  static SparseDelta chosen(std::vector<Gain> all, std::int64_t count, const SparseDelta& kept) {
    std::erase_if(all, [&](const Gain& gain) {
      return std::binary_search(kept.changes.begin(), kept.changes.end(), gain.change, in_order);
    });
    const std::int64_t room = std::max<std::int64_t>(count - std::ssize(kept.changes), 0);
    const auto more = std::min<std::int64_t>(room, std::ssize(all));
    const auto better = [](const Gain& a, const Gain& b) {
      return a.gain != b.gain ? a.gain > b.gain : in_order(a.change, b.change);
    };
    std::partial_sort(all.begin(), all.begin() + more, all.end(), better);
    SparseDelta delta = kept;
    for (auto gain = all.begin(); gain != all.begin() + more; ++gain) {
      delta.changes.push_back(gain->change);
    }
    std::sort(delta.changes.begin(), delta.changes.end(), in_order);
    return delta;
  }

  const Network& network_;
  const ThreatSet& set_;
  pgd::Blocks blocks_;
  Workspace workspace_;
  std::vector<Weights> gradient_;  ///< of the summed loss, one a chosen layer
  SparseDelta current_;
  SparseDelta best_;
  double most_ = -std::numeric_limits<double>::infinity();
};

}  // namespace

SparseDelta universal(const Network& network, const Dataset& data, const ThreatSet& set,
                      const Options& options) {
  return Search(network, data, set).run(options);
}

}  // namespace temblor::few
