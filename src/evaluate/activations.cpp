#include "state.hpp"
#include "tally.hpp"

#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/perturb/activations.hpp>

namespace temblor {
namespace {

using State = Evaluator::Scratch::State;

/// Bits of one image: [first, end) of ActivationFaults::bits.
struct Span {
  std::size_t first;
  std::size_t end;
};

/// Inverts bits of a run's images as the nodes that hold them come.
class Injector final : public NodeHook {
 public:
  Injector(const Network& network, const ActivationFaults& faults)
      : bits_(faults.bits), sites_(*faults.sites), site_of_(network.nodes().size(), -1) {
    for (std::size_t s = 0; s < sites_.size(); ++s) {
      const auto node = static_cast<std::size_t>(sites_[s].node);
      ensure(node < site_of_.size(), "faults of activations are of this network");
      site_of_[node] = static_cast<int>(s);
      units_.push_back(static_cast<std::size_t>(site_units(network, sites_[s])));
    }
  }

  /// One span an image of the next run.
  void use(std::vector<Span> spans) { spans_ = std::move(spans); }

  bool wants(int node) const override { return site_of_[static_cast<std::size_t>(node)] >= 0; }

  void change(int node, float* values) override {
    const auto site = static_cast<std::size_t>(site_of_[static_cast<std::size_t>(node)]);
    const Encoded& grid = sites_[site].grid;
    for (Span& span : spans_) {
      while (span.first < span.end && bits_[span.first].site == site) {
        const std::uint32_t unit = bits_[span.first].unit;
        std::uint32_t code = activation_code(grid, values[unit], static_cast<Index>(unit));
        for (; span.first < span.end && bits_[span.first].site == site && bits_[span.first].unit == unit;
             ++span.first) {
          code ^= std::uint32_t{1} << bits_[span.first].bit;
        }
        values[unit] = activation_value(grid, code, static_cast<Index>(unit));
      }
      values += units_[site];
    }
  }

 private:
  const std::vector<ActivationBit>& bits_;
  const std::vector<ActivationSite>& sites_;
  std::vector<int> site_of_;        ///< of each node, or -1
  std::vector<std::size_t> units_;  ///< of each site
  std::vector<Span> spans_;
};

/// Images with faults, ascending, and their bits.
std::vector<Span> hit_rows(const ActivationFaults& faults, std::vector<std::int32_t>& rows) {
  rows.clear();
  std::vector<Span> spans;
  for (std::size_t i = 0; i < faults.bits.size(); ++i) {
    const auto row = static_cast<std::int32_t>(faults.bits[i].sample);
    if (rows.empty() || rows.back() != row) {
      rows.push_back(row);
      spans.push_back({i, i});
    }
    spans.back().end = i + 1;
  }
  return spans;
}

}  // namespace

void infer_activations(const Baseline& base, const ActivationFaults& faults, State& state, Tally& tally) {
  use_weights(base, base.network.view(), -1, state);
  const std::vector<Span> spans = hit_rows(faults, state.rows);
  const auto classes = static_cast<std::size_t>(base.network.classes());
  state.logits.resize(state.rows.size() * classes);
  // Images whose first fault is at the same site share what is left to compute.
  std::vector<std::size_t> order(state.rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto site_of = [&](std::size_t i) { return faults.bits[spans[i].first].site; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return site_of(a) < site_of(b); });
  Injector injector(base.network, faults);
  std::vector<bool> dirty;
  for (std::size_t first = 0; first < order.size();) {
    const auto site = site_of(order[first]);
    if (first == 0 || site_of(order[first - 1]) != site) {
      const auto node = static_cast<std::size_t>((*faults.sites)[site].node);
      dirty.assign(base.network.nodes().size(), false);
      dirty[node] = true;
      dirty = state.runner.descendants(std::move(dirty));
      dirty[node] = false;
    }
    std::vector<std::int32_t> rows;
    std::vector<Span> own;
    std::size_t end = first;
    for (; end < order.size() && end - first < static_cast<std::size_t>(state.runner.rows()) &&
           site_of(order[end]) == site;
         ++end) {
      rows.push_back(state.rows[order[end]]);
      own.push_back(spans[order[end]]);
    }
    injector.use(std::move(own));
    const RowsView logits =
        state.runner.run({&base.data.images, 0, static_cast<Index>(rows.size()), rows.data()},
                         base.golden.activations, dirty, nullptr, &injector);
    for (std::size_t i = first; i < end; ++i)
      std::copy_n(logits.row(static_cast<Index>(i - first)), classes,
                  state.logits.data() + order[i] * classes);
    first = end;
  }
  std::size_t hit = 0;
  for (std::int32_t row = 0; row < static_cast<std::int32_t>(base.data.size()); ++row) {
    if (hit < state.rows.size() && state.rows[hit] == row) {
      tally.add(row, state.logits.data() + hit++ * classes);
    } else if (base.golden.prediction[static_cast<std::size_t>(row)] < 0) {
      tally.add(row, base.golden.logits().data() + static_cast<std::size_t>(row) * classes);
    }
  }
}

void infer_activations_full(const Baseline& base, const ActivationFaults& faults, State& state,
                            Tally& tally) {
  use_weights(base, base.network.view(), -1, state);
  Injector injector(base.network, faults);
  const std::vector<bool> all(base.network.nodes().size(), true);
  std::size_t next = 0;
  for (Index first = 0; first < base.data.size(); first += state.runner.rows()) {
    const Index count = std::min(state.runner.rows(), base.data.size() - first);
    std::vector<Span> spans;
    for (Index row = first; row < first + count; ++row) {
      const std::size_t begin = next;
      while (next < faults.bits.size() && faults.bits[next].sample == static_cast<std::uint32_t>(row)) ++next;
      spans.push_back({begin, next});
    }
    injector.use(std::move(spans));
    const RowsView logits =
        state.runner.run({&base.data.images, first, count}, base.golden.activations, all, nullptr, &injector);
    for (Index r = 0; r < count; ++r) tally.add(static_cast<std::int32_t>(first + r), logits.row(r));
  }
}

}  // namespace temblor
