#include "chain.hpp"
#include "golden.hpp"
#include "ripple.hpp"
#include "state.hpp"
#include "tally.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <span>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/evaluator.hpp>

namespace temblor {
namespace {

/// More changed weights than this in one layer are left to exact inference of their units.
constexpr std::size_t most_changes = 8;
/// Weights that trials which share a pass may hold: 64 MiB.
constexpr Index most_held = Index{1} << 24;

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

/// Units (rows of the matrix) that sorted changes of one layer touch.
void touched_units(std::span<const Change> changes, Index inputs, std::vector<Index>& units) {
  units.clear();
  for (const Change& change : changes) {
    const Index unit = static_cast<Index>(change.index) / inputs;
    if (units.empty() || units.back() != unit) units.push_back(unit);
  }
}

/// The changes of the first touched layer: weighted layers are numbered in the order of the graph.
std::span<const Change> first_layer(const SparseDelta& delta) {
  const auto end = std::find_if(delta.changes.begin(), delta.changes.end(), [&](const Change& change) {
    return change.layer != delta.changes.front().layer;
  });
  return {delta.changes.begin(), end};
}

}  // namespace

Evaluator::Evaluator(const Network& network, const Dataset& data, std::int64_t activation_memory)
    : network_(&network),
      data_(&data),
      golden_(run_golden(network, data, activation_memory)),
      tables_(std::make_unique<Tables>()) {
  tables_->id = next_id();
  tables_->packed = pack_dense(network, network.view());
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto& node = network.nodes()[static_cast<std::size_t>(network.node_of(layer))];
    tables_->dense.push_back(node.layer->kind() == "dense");
  }
}

/// Whether changes of a few output channels of the layer are followed through the graph.
bool Evaluator::ripples(int layer) const {
  std::call_once(tables_->graph_made, [&] { tables_->graph = std::make_shared<RippleGraph>(*network_); });
  const auto node = static_cast<std::size_t>(network_->node_of(layer));
  return static_cast<int>(node) < tables_->graph->tail &&
         tables_->graph->nodes[node].kind == RippleGraph::Kind::convolution;
}

std::shared_ptr<const Matrix> Evaluator::outputs(int node) const {
  return golden_outputs(*network_, *data_, golden_, node);
}

Evaluator::~Evaluator() = default;
Evaluator::Evaluator(Evaluator&&) noexcept = default;

Evaluator::Scratch::Scratch(const Evaluator& evaluator)
    : state_(std::make_unique<State>(evaluator.network())) {}
Evaluator::Scratch::~Scratch() = default;
Evaluator::Scratch::Scratch(Scratch&&) noexcept = default;
Evaluator::Scratch& Evaluator::Scratch::operator=(Scratch&&) noexcept = default;

bool Evaluator::shares() const {
  for (int layer = 0; layer < network_->layers(); ++layer) {
    if (ripples(layer)) return golden_.no_prediction == 0;
  }
  return false;
}

/// Whether a perturbation changes few enough channels of one layer that ripples: then those, without weights.
bool Evaluator::follow(const Perturbation& perturbation, RippleTrial& trial) const {
  const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta);
  if (sparse == nullptr || sparse->changes.empty() || golden_.no_prediction != 0) return false;
  const std::span<const Change> changes = first_layer(*sparse);
  trial.layer = static_cast<int>(changes.front().layer);
  if (changes.size() != sparse->changes.size() || !ripples(trial.layer)) return false;
  const Matrix& weight = network_->weights(trial.layer).weight;
  touched_units(changes, weight.cols(), trial.channels);
  return 2 * static_cast<Index>(trial.channels.size()) <= weight.rows();
}

std::vector<TrialCounts> Evaluator::evaluate(std::span<const Perturbation* const> perturbations,
                                             Scratch& scratch, std::span<TrialSamples> samples) const {
  const Baseline base{*network_, *data_, golden_, *tables_};
  Scratch::State& state = *scratch.state_;
  std::vector<TrialCounts> counts(perturbations.size());
  std::vector<RippleTrial> trials;
  std::vector<Tally> tallies;
  std::vector<std::size_t> places;
  std::deque<Weights> weights;
  Index held = 0;
  const auto run = [&] {
    infer_ripples(base, *tables_->graph, trials, state, tallies);
    for (std::size_t t = 0; t < trials.size(); ++t) counts[places[t]] = tallies[t].finish();
    trials.clear();
    tallies.clear();
    places.clear();
    weights.clear();
    held = 0;
  };
  for (std::size_t i = 0; i < perturbations.size(); ++i) {
    RippleTrial trial;
    if (!follow(*perturbations[i], trial)) {
      counts[i] = evaluate(*perturbations[i], scratch, samples[i]);
      continue;
    }
    const WeightView& view = state.workspace.apply(std::get<SparseDelta>(perturbations[i]->delta));
    trial.weights = &weights.emplace_back(*view[static_cast<std::size_t>(trial.layer)]);
    state.workspace.undo();
    held += trial.weights->weight.size();
    trials.push_back(std::move(trial));
    tallies.emplace_back(golden_, *data_, tables_->id, samples[i]);
    places.push_back(i);
    if (held >= most_held) run();
  }
  if (!trials.empty()) run();
  return counts;
}

TrialCounts Evaluator::evaluate(const Perturbation& perturbation, Scratch& scratch,
                                TrialSamples& samples) const {
  const Baseline base{*network_, *data_, golden_, *tables_};
  Scratch::State& state = *scratch.state_;
  Tally tally(golden_, *data_, tables_->id, samples);
  if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) {
    if (sparse->changes.empty() && golden_.no_prediction == 0) return tally.finish();
    RippleTrial trial;
    if (follow(perturbation, trial)) {
      trial.weights = state.workspace.apply(*sparse)[static_cast<std::size_t>(trial.layer)];
      infer_ripples(base, *tables_->graph, {&trial, 1}, state, {&tally, 1});
      state.workspace.undo();
      return tally.finish();
    }
    const std::span<const Change> changes = first_layer(*sparse);
    const bool one_layer = changes.size() == sparse->changes.size();
    if (one_layer && changes.size() <= most_changes) {
      std::call_once(tables_->chain_made, [&] { tables_->chain = make_chain(*network_, *data_, golden_); });
      if (tables_->chain && infer_changes(base, *tables_->chain, *sparse, state, tally))
        return tally.finish();
    }
    const WeightView& view = state.workspace.apply(*sparse);
    bool few = !changes.empty() && golden_.no_prediction == 0;
    const auto layer = changes.empty() ? 0 : static_cast<int>(changes.front().layer);
    if (few) {
      const Weights& weights = network_->weights(layer);
      touched_units(changes, weights.weight.cols(), state.units);
      few = 2 * static_cast<Index>(state.units.size()) <= weights.weight.rows();
    }
    if (few && tables_->dense[changes.front().layer]) {
      infer_units(base, view, changes, one_layer, state, tally);
    } else {
      infer_all(base, view, state, tally);
    }
    state.workspace.undo();
  } else if (const auto* dense = std::get_if<DenseDelta>(&perturbation.delta)) {
    infer_all(base, state.workspace.apply(*dense), state, tally);
    state.workspace.undo();
  } else if (const auto* activations = std::get_if<ActivationFaults>(&perturbation.delta)) {
    infer_activations(base, *activations, state, tally);
  } else {
    infer_samples(base, std::get<SampleDelta>(perturbation.delta), state, tally);
  }
  return tally.finish();
}

TrialCounts Evaluator::evaluate_full(const Perturbation& perturbation, Scratch& scratch,
                                     TrialSamples& samples) const {
  const Baseline base{*network_, *data_, golden_, *tables_};
  Scratch::State& state = *scratch.state_;
  Tally tally(golden_, *data_, tables_->id, samples);
  if (const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta)) {
    infer_full(base, state.workspace.apply(*sparse), state, tally);
    state.workspace.undo();
  } else if (const auto* dense = std::get_if<DenseDelta>(&perturbation.delta)) {
    infer_full(base, state.workspace.apply(*dense), state, tally);
    state.workspace.undo();
  } else if (const auto* activations = std::get_if<ActivationFaults>(&perturbation.delta)) {
    infer_activations_full(base, *activations, state, tally);
  } else {
    infer_samples_full(base, std::get<SampleDelta>(perturbation.delta), state, tally);
  }
  return tally.finish();
}

TrialCounts Evaluator::evaluate_clamped(const Perturbation& perturbation, bool full, Scratch& scratch,
                                        TrialSamples& samples) const {
  const Baseline base{*network_, *data_, golden_, *tables_};
  std::call_once(tables_->ranges_made, [&] { tables_->ranges = golden_ranges(*network_, *data_, golden_); });
  Scratch::State& state = *scratch.state_;
  Tally tally(golden_, *data_, tables_->id, samples);
  const auto* sparse = std::get_if<SparseDelta>(&perturbation.delta);
  const auto* dense = std::get_if<DenseDelta>(&perturbation.delta);
  state.runner.limit(&tables_->ranges);
  if (const auto* activations = std::get_if<ActivationFaults>(&perturbation.delta)) {
    (full ? infer_activations_full : infer_activations)(base, *activations, state, tally);
    state.runner.limit(nullptr);
    return tally.finish();
  }
  ensure(sparse != nullptr || dense != nullptr,
         "images with weights of their own meet no clamped activations");
  const WeightView& view = sparse != nullptr ? state.workspace.apply(*sparse) : state.workspace.apply(*dense);
  if (full) {
    infer_full(base, view, state, tally);
  } else {
    infer_all(base, view, state, tally);
  }
  state.runner.limit(nullptr);
  state.workspace.undo();
  return tally.finish();
}

}  // namespace temblor
