#include "unit.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {
namespace {

using census::StageTables;
using census::UnitCensus;

LayerCensus empty_layer(const Network& network, int layer, std::size_t bits) {
  const Matrix& weight = network.weights(layer).weight;
  const std::size_t faults = static_cast<std::size_t>(weight.size()) * bits;
  LayerCensus empty;
  empty.layer = layer;
  empty.outputs = weight.rows();
  empty.inputs = weight.size() / std::max<Index>(1, weight.rows());
  empty.changed.assign(faults, 0);
  empty.broken.assign(faults, 0);
  empty.fixed.assign(faults, 0);
  empty.no_prediction.assign(faults, 0);
  empty.worst_drop.assign(faults, 0.0);
  empty.worst_image.assign(faults, -1);
  return empty;
}

/// How far the whole census is, over all its workers.
class Progress {
 public:
  Progress(const CensusRequest& request, std::int64_t total) : request_(&request), total_(total) {}

  /// False once somebody asked to stop.
  bool add(std::int64_t work) {
    const std::int64_t done = done_.fetch_add(work) + work;
    if (stopped_ || !request_->progress) return !stopped_;
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock && !request_->progress(static_cast<double>(done) / static_cast<double>(total_))) stopped_ = true;
    return !stopped_;
  }
  bool stopped() const { return stopped_; }

 private:
  const CensusRequest* request_;
  std::int64_t total_;
  std::atomic<std::int64_t> done_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
};

[[noreturn]] void interrupted() {
  throw Error(Exit::interrupted, "interrupted", "nothing was written", "start the census again");
}

std::string why_not(const Network& network, const Chain* chain) {
  if (chain == nullptr) return "not a chain of dense layers with finite golden values";
  for (std::size_t k = 0; k + 1 < chain->stages.size(); ++k) {
    const Layer* activation = chain->stages[k].activation;
    const std::string kind = activation == nullptr ? "no activation" : std::string(activation->kind());
    if (kind != "relu") {
      return kind + " after " + network.nodes()[static_cast<std::size_t>(chain->stages[k].node)].name +
             ": rays need ReLU";
    }
  }
  return {};
}

void trace_layers(const Evaluator::Tables& tables, const Chain& chain, const StoredNetwork& stored,
                  const Dataset& data, const Evaluator& evaluator, const CensusRequest& request,
                  Progress& progress, Census& result) {
  const Baseline base{stored.network, data, evaluator.golden(), tables};
  tbb::enumerable_thread_specific<UnitCensus> workers([&] { return UnitCensus(base, chain); });
  for (std::size_t i = 0; i < request.layers.size(); ++i) {
    const int layer = request.layers[i];
    const int node = stored.network.node_of(layer);
    std::size_t stage = 0;
    while (chain.stages[stage].node != node) ++stage;
    const StageTables shared(base, chain, stage, stored.codes[static_cast<std::size_t>(layer)], request.bits);
    LayerCensus& out = result.layers[i];
    const auto work = static_cast<std::int64_t>(out.inputs);
    tbb::parallel_for(Index{0}, out.outputs, [&](Index unit) {
      if (progress.stopped()) return;
      UnitCensus& worker = workers.local();
      worker.run(shared, unit, out, [&] { return progress.stopped(); });
      progress.add(work);
    });
    if (progress.stopped()) interrupted();
  }
  for (const UnitCensus& worker : workers) result.inferred += worker.inferred();
}

void infer_layers(const StoredNetwork& stored, const Evaluator& evaluator, const CensusRequest& request,
                  Progress& progress, Census& result) {
  struct Worker {
    explicit Worker(const Evaluator& of) : scratch(of) {}
    Evaluator::Scratch scratch;
    TrialSamples samples;
  };
  tbb::enumerable_thread_specific<Worker> workers([&] { return Worker(evaluator); });
  const std::size_t bits = request.bits.size();
  for (std::size_t i = 0; i < request.layers.size(); ++i) {
    LayerCensus& out = result.layers[i];
    const auto layer = static_cast<std::uint32_t>(request.layers[i]);
    const Encoded& codes = stored.codes[layer];
    tbb::parallel_for(Index{0}, out.outputs * out.inputs, [&](Index weight) {
      Worker& worker = workers.local();
      const auto index = static_cast<std::size_t>(weight);
      for (std::size_t b = 0; b < bits && !progress.stopped(); ++b) {
        const std::uint32_t code = codes.codes[index] ^ (1U << static_cast<unsigned>(request.bits[b]));
        const float after = codes.decode(index, code);
        const Perturbation fault{SparseDelta{{{layer, static_cast<std::uint32_t>(index), after}}}};
        const TrialCounts counts = request.trace
                                       ? evaluator.evaluate(fault, worker.scratch, worker.samples)
                                       : evaluator.evaluate_full(fault, worker.scratch, worker.samples);
        const std::size_t f = index * bits + b;
        out.changed[f] = static_cast<std::int32_t>(counts.changed);
        out.broken[f] = static_cast<std::int32_t>(counts.broken);
        out.fixed[f] = static_cast<std::int32_t>(counts.fixed);
        out.no_prediction[f] = static_cast<std::int32_t>(counts.no_prediction);
        if (counts.drop_max > 0) {
          out.worst_drop[f] = counts.drop_max;
          out.worst_image[f] = static_cast<std::int32_t>(counts.worst_sample);
        }
      }
      progress.add(1);
    });
    if (progress.stopped()) interrupted();
    result.inferred += static_cast<std::int64_t>(out.faults()) * evaluator.golden().logits().rows();
  }
}

}  // namespace

Census take_census(const StoredNetwork& stored, const Dataset& data, const Evaluator& evaluator,
                   const CensusRequest& request) {
  ensure(&evaluator.network() == &stored.network, "the evaluator is of the stored network");
  Census result;
  result.bits = request.bits;
  std::int64_t weights = 0;
  for (const int layer : request.layers) {
    result.layers.push_back(empty_layer(stored.network, layer, request.bits.size()));
    weights += result.layers.back().outputs * result.layers.back().inputs;
  }
  Progress progress(request, weights);
  std::unique_ptr<const Chain> chain;
  if (request.trace) {
    chain = make_chain(stored.network, data, evaluator.golden());
    result.why_not_traced = why_not(stored.network, chain.get());
  } else {
    result.why_not_traced = "not asked for";
  }
  result.traced = result.why_not_traced.empty();
  if (result.traced) {
    Evaluator::Tables tables;
    tables.packed = pack_dense(stored.network, stored.network.view());
    trace_layers(tables, *chain, stored, data, evaluator, request, progress, result);
  } else {
    infer_layers(stored, evaluator, request, progress, result);
  }
  return result;
}

}  // namespace temblor
