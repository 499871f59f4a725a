#include "ripple.hpp"
#include "tally.hpp"

#include <algorithm>

namespace temblor {
namespace {

using State = Evaluator::Scratch::State;

/// Images of a trial that the tail runs together, where trials share the passes.
constexpr Index batch_rows = 48;

/// Logits of what the exit node gave for some images, [count x units]: the dense tail.
const float* run_tail(const Baseline& base, const RippleGraph& graph, const float* here, Index count,
                      State& state) {
  const auto& nodes = base.network.nodes();
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

void infer_ripples(const Baseline& base, const RippleGraph& graph, std::span<RippleTrial> trials,
                   State& state, std::span<Tally> tallies) {
  if (!state.ripple) state.ripple = std::make_shared<Ripple>(base.network);
  Ripple& ripple = *state.ripple;
  ripple.begin(base, graph, trials);
  const Index units = base.network.nodes()[static_cast<std::size_t>(graph.exit)].shape.size();
  const Index classes = base.network.classes();
  // Outputs of the exit node wait here until there are some for the tail to run together.
  struct Pending {
    std::vector<std::int32_t> rows;
    std::vector<float> values;
  };
  std::vector<Pending> pending(trials.size());
  const Index most = trials.size() > 1 ? batch_rows : BlockRunner::block;
  const auto flush = [&](std::size_t t) {
    Pending& of = pending[t];
    const float* logits = run_tail(base, graph, of.values.data(), static_cast<Index>(of.rows.size()), state);
    for (const std::int32_t row : of.rows) {
      tallies[t].add(row, logits);
      logits += classes;
    }
    of.rows.clear();
    of.values.clear();
  };
  for (Index image = 0; image < base.data.size(); ++image) {
    ripple.look_at(image);
    for (std::size_t t = 0; t < trials.size(); ++t) {
      const float* outputs = ripple.run(trials[t]);
      if (outputs == nullptr) continue;
      Pending& of = pending[t];
      of.values.insert(of.values.end(), outputs, outputs + units);
      of.rows.push_back(static_cast<std::int32_t>(image));
      if (static_cast<Index>(of.rows.size()) == most) flush(t);
    }
  }
  for (std::size_t t = 0; t < trials.size(); ++t) flush(t);
}

}  // namespace temblor
