#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include <temblor/evaluate/evaluator.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {

struct Chain;
struct RippleGraph;
struct RippleTrial;
class Ripple;

/// What an evaluator knows beside the golden run.
struct Evaluator::Tables {
  std::uint64_t id = 0;
  std::vector<PackedDense> packed;     ///< dense layers with golden weights
  std::vector<bool> dense;             ///< which weighted layers are dense
  std::once_flag chain_made;           ///< the chain is made when the first small change comes
  std::unique_ptr<const Chain> chain;  ///< null when the network is none
  std::once_flag graph_made;           ///< likewise, before the chain
  std::shared_ptr<const RippleGraph> graph;
  std::once_flag ranges_made;
  std::vector<OutputRange> ranges;  ///< of every node's golden outputs; limited: of activation functions
};

/// Buffers of one worker.
struct Evaluator::Scratch::State {
  explicit State(const Network& network)
      : workspace(network), runner(network), packed(static_cast<std::size_t>(network.layers())) {}

  Workspace workspace;
  BlockRunner runner;
  std::vector<PackedDense> packed;  ///< touched dense layers
  std::vector<Index> units;         ///< units of one layer with a changed weight, ascending
  PackedDense packed_units;
  std::vector<std::int32_t> rows;  ///< images to infer
  std::vector<float> values;       ///< [rows x units]: new outputs of the units
  std::vector<float> active;       ///< the same after the activation
  std::vector<float> logits;       ///< [rows x classes]

  std::shared_ptr<Ripple> ripple;  ///< made when first used

  // Small changes (chain.hpp).
  std::vector<float> bound;    ///< [rows]: error bound of the logits
  std::vector<float> change;   ///< [units x images], the first rows.size() of each: change of a unit's output
  std::vector<float> strip;    ///< temporaries of a strip of images
  std::vector<float> inexact;  ///< [classes]: 1 where a logit is only known to within its bound
  std::vector<float> columns;  ///< [units x outputs]: weights of the next layer
  std::vector<float> ping, pong;       ///< activations of a block
  std::vector<std::int32_t> affected;  ///< rows, while some are inferred exactly
  std::vector<Index> places;           ///< of those rows
  std::vector<float> exact;            ///< their logits
};

class Tally;

/// The golden run that a trial starts from.
struct Baseline {
  const Network& network;
  const Dataset& data;
  const Golden& golden;
  const Evaluator::Tables& tables;
};

/// Readies the state's runner for these parameters: touched dense layers are packed, except `patched` (-1:
/// none).
void use_weights(const Baseline& base, const WeightView& view, int patched, Evaluator::Scratch::State& state);

/// Infers again all images through everything that depends on a touched layer.
void infer_all(const Baseline& base, const WeightView& view, Evaluator::Scratch::State& state, Tally& tally);

/// Infers again all images through all layers.
void infer_full(const Baseline& base, const WeightView& view, Evaluator::Scratch::State& state, Tally& tally);

/// Each image with its own weights; blocks of images run in parallel.
void infer_samples(const Baseline& base, const SampleDelta& delta, Evaluator::Scratch::State& state,
                   Tally& tally);

/// The same by making every image's weights, one image after the other.
void infer_samples_full(const Baseline& base, const SampleDelta& delta, Evaluator::Scratch::State& state,
                        Tally& tally);

/// Infers again the images with faulty activations, from their first faulty site on.
void infer_activations(const Baseline& base, const ActivationFaults& faults, Evaluator::Scratch::State& state,
                       Tally& tally);

/// The same by inferring every node of every image.
void infer_activations_full(const Baseline& base, const ActivationFaults& faults,
                            Evaluator::Scratch::State& state, Tally& tally);

/// Logits of the state's rows, exactly, when the state's units of `layer` give state.values: the layer's
/// other units, and everything that does not depend on them, keep their golden outputs.
void infer_rows(const Baseline& base, const WeightView& view, int layer, Evaluator::Scratch::State& state,
                float* logits);

/// Infers again, exactly, what depends on a few changed weights: `changes` are those of the first touched
/// layer, of which state.units are the units. When no other layer is touched, only images that notice.
void infer_units(const Baseline& base, const WeightView& view, std::span<const Change> changes,
                 bool only_layer, Evaluator::Scratch::State& state, Tally& tally);

/// Infers again, exactly, what depends on the changed channels of each trial: only images that notice, and of
/// those only what changes. Golden logits are finite. One tally a trial.
void infer_ripples(const Baseline& base, const RippleGraph& graph, std::span<RippleTrial> trials,
                   Evaluator::Scratch::State& state, std::span<Tally> tallies);

/// Outputs of the state's units of one layer for the state's rows, with the weights of `view`, into
/// state.values. `input`: the layer's golden inputs for all images, where the caller has them.
void compute_units(const Baseline& base, const WeightView& view, int layer, Evaluator::Scratch::State& state,
                   const Matrix* input = nullptr);

}  // namespace temblor
