#include "ripple.hpp"
#include "tally.hpp"

#include <algorithm>

namespace temblor {
namespace {

using State = Evaluator::Scratch::State;

/// Logits of what the exit node gave for some images, [count x units] in state.values: the dense tail.
const float* run_tail(const Baseline& base, const RippleGraph& graph, Index count, State& state) {
  const auto& nodes = base.network.nodes();
  const float* here = state.values.data();
  std::vector<float>* to = &state.ping;
  for (auto i = static_cast<std::size_t>(graph.tail); i < nodes.size(); ++i) {
    const Network::Node& node = nodes[i];
    const Index units = node.shape.size();
    if (node.weights < 0) {
      node.layer->apply((to == &state.ping ? state.pong : state.ping).data(), count * units);
      continue;
    }
    const PackedDense& packed = base.tables.packed[static_cast<std::size_t>(node.weights)];
    to->resize(static_cast<std::size_t>(count * units));
    packed.multiply({here, packed.inputs(), nullptr}, count, to->data(), units);
    here = to->data();
    to = to == &state.ping ? &state.pong : &state.ping;
  }
  return here;
}

}  // namespace

void infer_ripple(const Baseline& base, const RippleGraph& graph, const WeightView& view, int layer,
                  State& state, Tally& tally) {
  if (!state.ripple) state.ripple = std::make_shared<Ripple>(base.network);
  Ripple& ripple = *state.ripple;
  ripple.begin(base, graph, view, layer, state.units);
  const Index units = base.network.nodes()[static_cast<std::size_t>(graph.exit)].shape.size();
  const Index classes = base.network.classes();
  state.rows.clear();
  state.values.resize(static_cast<std::size_t>(BlockRunner::block * units));
  const auto flush = [&] {
    const float* logits = run_tail(base, graph, static_cast<Index>(state.rows.size()), state);
    for (const std::int32_t row : state.rows) {
      tally.add(row, logits);
      logits += classes;
    }
    state.rows.clear();
  };
  for (Index image = 0; image < base.data.size(); ++image) {
    const float* outputs = ripple.run(image);
    if (outputs == nullptr) continue;
    std::copy_n(outputs, units, state.values.data() + static_cast<Index>(state.rows.size()) * units);
    state.rows.push_back(static_cast<std::int32_t>(image));
    if (static_cast<Index>(state.rows.size()) == BlockRunner::block) flush();
  }
  flush();
}

}  // namespace temblor
