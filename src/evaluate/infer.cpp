#include "golden.hpp"
#include "state.hpp"
#include "tally.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace temblor {
namespace {

using State = Evaluator::Scratch::State;

bool touched(const Baseline& base, const WeightView& view, std::size_t layer) {
  return view[layer] != &base.network.weights(static_cast<int>(layer));
}

std::vector<bool> dirty_nodes(const Baseline& base, const WeightView& view, const BlockRunner& runner) {
  std::vector<bool> marked;
  for (const Network::Node& node : base.network.nodes())
    marked.push_back(node.weights >= 0 && touched(base, view, static_cast<std::size_t>(node.weights)));
  return runner.descendants(std::move(marked));
}

/// The only consumer of a node when that is element-wise, otherwise -1.
int activation_of(const Network& network, int node) {
  int found = -1;
  int consumers = 0;
  for (std::size_t i = 0; i < network.nodes().size(); ++i) {
    const Network::Node& other = network.nodes()[i];
    if (std::find(other.inputs.begin(), other.inputs.end(), node) == other.inputs.end()) continue;
    ++consumers;
    if (other.layer->elementwise()) found = static_cast<int>(i);
  }
  return consumers == 1 ? found : -1;
}

/// Images whose input to a changed weight is not 0; all of them when a new weight is not finite (0 * Inf is
/// NaN).
void noticing_rows(const Matrix& input, std::span<const Change> changes, std::vector<std::int32_t>& rows) {
  rows.clear();
  const bool all = std::any_of(changes.begin(), changes.end(),
                               [](const Change& change) { return !std::isfinite(change.after); });
  for (Index n = 0; n < input.rows(); ++n) {
    bool notices = all;
    for (const Change& change : changes) notices = notices || input(n, change.index % input.cols()) != 0.0F;
    if (notices) rows.push_back(static_cast<std::int32_t>(n));
  }
}

/// Keeps the rows on which some unit's output, after the activation where one follows, differs from the
/// golden one, as far as those are kept.
void drop_unmoved(const Baseline& base, int node, State& state) {
  const int activation = activation_of(base.network, node);
  state.active = state.values;
  if (activation >= 0) {
    const auto& layer = *base.network.nodes()[static_cast<std::size_t>(activation)].layer;
    layer.apply(state.active.data(), static_cast<Index>(state.active.size()));
  }
  const Matrix& golden =
      base.golden.activations.outputs[static_cast<std::size_t>(std::max(node, activation))];
  if (golden.size() == 0) return;
  const std::size_t units = state.units.size();
  std::size_t kept = 0;
  for (std::size_t r = 0; r < state.rows.size(); ++r) {
    bool moved = false;
    for (std::size_t u = 0; u < units; ++u)
      moved = moved || !(state.active[r * units + u] == golden(state.rows[r], state.units[u]));
    if (!moved) continue;
    state.rows[kept] = state.rows[r];
    std::copy_n(state.values.begin() + static_cast<std::ptrdiff_t>(r * units), units,
                state.values.begin() + static_cast<std::ptrdiff_t>(kept * units));
    ++kept;
  }
  state.rows.resize(kept);
  state.values.resize(kept * units);
}

}  // namespace

void use_weights(const Baseline& base, const WeightView& view, int patched, State& state) {
  std::vector<const PackedDense*> packed(view.size());
  for (const Network::Node& node : base.network.nodes()) {
    if (node.weights < 0 || node.layer->kind() != "dense") continue;
    const auto layer = static_cast<std::size_t>(node.weights);
    packed[layer] = &base.tables.packed[layer];
    if (node.weights == patched || !touched(base, view, layer)) continue;
    state.packed[layer].pack(view[layer]->weight, view[layer]->bias);
    packed[layer] = &state.packed[layer];
  }
  state.runner.use(view, std::move(packed));
}

namespace {

template <class Run>
void infer_blocks(const Baseline& base, Index rows, Tally& tally, const Run& run) {
  for (Index first = 0; first < base.data.size(); first += rows) {
    const Index count = std::min(rows, base.data.size() - first);
    const RowsView logits = run({&base.data.images, first, count});
    for (Index r = 0; r < count; ++r) tally.add(static_cast<std::int32_t>(first + r), logits.row(r));
  }
}

}  // namespace

void infer_full(const Baseline& base, const WeightView& view, State& state, Tally& tally) {
  use_weights(base, view, -1, state);
  infer_blocks(base, state.runner.rows(), tally,
               [&](const BlockRunner::Images& images) { return state.runner.run(images); });
}

void infer_all(const Baseline& base, const WeightView& view, State& state, Tally& tally) {
  use_weights(base, view, -1, state);
  const std::vector<bool> dirty = dirty_nodes(base, view, state.runner);
  infer_blocks(base, state.runner.rows(), tally, [&](const BlockRunner::Images& images) {
    return state.runner.run(images, base.golden.activations, dirty);
  });
}

namespace {

/// Remembers where a run has the outputs of one node.
class Catcher final : public NodeHook {
 public:
  explicit Catcher(int node) : node_(node) {}
  bool wants(int node) const override { return node == node_; }
  void change(int, float* values) override { values_ = values; }
  const float* values() const { return values_; }

 private:
  int node_;
  const float* values_ = nullptr;
};

}  // namespace

void compute_units(const Baseline& base, const WeightView& view, int layer, State& state,
                   const Matrix* input) {
  const int source = base.network.nodes()[static_cast<std::size_t>(base.network.node_of(layer))].inputs[0];
  const Weights& weights = *view[static_cast<std::size_t>(layer)];
  const auto units = static_cast<Index>(state.units.size());
  const auto total = static_cast<Index>(state.rows.size());
  state.packed_units.pack(weights.weight, weights.bias, state.units);
  state.values.resize(state.rows.size() * state.units.size());
  if (input == nullptr) input = kept_outputs(base.network, base.data, base.golden, source);
  if (input != nullptr) {
    state.packed_units.multiply({input->data(), input->cols(), state.rows.data()}, total, state.values.data(),
                                units);
    return;
  }
  use_weights(base, base.network.view(), -1, state);
  const std::vector<bool> clean(base.network.nodes().size(), false);
  Catcher catcher(source);
  for (Index first = 0; first < total; first += state.runner.rows()) {
    const Index count = std::min(state.runner.rows(), total - first);
    state.runner.run({&base.data.images, 0, count, state.rows.data() + first}, base.golden.activations, clean,
                     nullptr, &catcher);
    state.packed_units.multiply({catcher.values(), weights.weight.cols(), nullptr}, count,
                                state.values.data() + first * units, units);
  }
}

void infer_rows(const Baseline& base, const WeightView& view, int layer, State& state, float* logits) {
  const int node = base.network.node_of(layer);
  use_weights(base, view, layer, state);
  const std::vector<bool> dirty = dirty_nodes(base, view, state.runner);
  const Index classes = base.network.classes();
  const auto total = static_cast<Index>(state.rows.size());
  for (Index first = 0; first < total; first += state.runner.rows()) {
    const Index count = std::min(state.runner.rows(), total - first);
    const UnitPatch patch{node, state.units,
                          state.values.data() + static_cast<std::size_t>(first) * state.units.size()};
    const RowsView block = state.runner.run({&base.data.images, 0, count, state.rows.data() + first},
                                            base.golden.activations, dirty, &patch);
    for (Index r = 0; r < count; ++r) std::copy_n(block.row(r), classes, logits + (first + r) * classes);
  }
}

void infer_units(const Baseline& base, const WeightView& view, std::span<const Change> changes,
                 bool only_layer, State& state, Tally& tally) {
  const auto layer = static_cast<int>(changes.front().layer);
  const int node = base.network.node_of(layer);
  const int source = base.network.nodes()[static_cast<std::size_t>(node)].inputs[0];
  const Matrix* input = kept_outputs(base.network, base.data, base.golden, source);
  if (only_layer && input != nullptr) {
    noticing_rows(*input, changes, state.rows);
  } else {
    state.rows.resize(static_cast<std::size_t>(base.data.size()));
    std::iota(state.rows.begin(), state.rows.end(), 0);
  }
  compute_units(base, view, layer, state);
  if (only_layer) drop_unmoved(base, node, state);
  state.logits.resize(state.rows.size() * static_cast<std::size_t>(base.network.classes()));
  infer_rows(base, view, layer, state, state.logits.data());
  const float* logits = state.logits.data();
  for (const std::int32_t row : state.rows) {
    tally.add(row, logits);
    logits += base.network.classes();
  }
}

}  // namespace temblor
