#include "conv.hpp"
#include "dense_end.hpp"
#include "screen.hpp"
#include "sensitivity.hpp"
#include "unit.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>
#include <temblor/network/runner.hpp>

namespace temblor {
namespace {

using census::block_size;
using census::ChannelScreen;
using census::ConvCensus;
using census::ConvTables;
using census::DenseEnd;
using census::end_data;
using census::image_block;
using census::ImageBlock;
using census::plane_shape;
using census::PlaneShape;
using census::Sensitivity;
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
  if (chain == nullptr || static_cast<int>(chain->stages.size()) != network.layers())
    return "not a chain of dense layers with finite golden values";
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

/// One layer of a chain: stage `layer` of the chain's own weighted layers.
struct Traced {
  int layer;
  const Encoded* codes;
  LayerCensus* out;
};

/// Adds what the faults do to the images of `base`, rows `first` on of the whole set. Its tables hold the
/// packed layers.
void trace_layers(const Baseline& base, const Chain& chain, const std::vector<Traced>& layers, Index first,
                  const CensusRequest& request, Progress& progress, Census& result) {
  tbb::enumerable_thread_specific<UnitCensus> workers([&] { return UnitCensus(base, chain); });
  for (const Traced& layer : layers) {
    const int node = base.network.node_of(layer.layer);
    std::size_t stage = 0;
    while (chain.stages[stage].node != node) ++stage;
    const StageTables shared(base, chain, stage, *layer.codes, request.bits, first);
    LayerCensus& out = *layer.out;
    const auto work = static_cast<std::int64_t>(out.inputs * base.data.size());
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

void census_channels(const ImageBlock& block, const StoredNetwork& stored, const DenseEnd* end,
                     const std::vector<PackedDense>& packed, const CensusRequest& request, Progress& progress,
                     LayerCensus& out, Census& result) {
  const ConvTables shared(stored.network, out.layer, stored.codes[static_cast<std::size_t>(out.layer)],
                          request.bits, packed);
  std::optional<PlaneShape> shape;
  std::optional<Sensitivity> above;
  if (end != nullptr && shared.path.end() == end->source) shape = plane_shape(stored.network, shared.path);
  if (shape) {
    above.emplace(stored.network, *end, block);
    if (!above->usable()) shape.reset();
  }
  tbb::enumerable_thread_specific<ConvCensus> workers([&] { return ConvCensus(shared); });
  for (Index channel = 0; channel < out.outputs; ++channel) {
    std::optional<ChannelScreen> screen;
    if (shape) screen.emplace(stored.network, shared.path, shared.conv, *shape, *above, channel);
    tbb::parallel_for(Index{0}, out.inputs, [&](Index input) {
      if (progress.stopped()) return;
      workers.local().run(block, screen ? &*screen : nullptr, channel * out.inputs + input, out,
                          [&] { return progress.stopped(); });
      progress.add(block.size());
    });
    if (progress.stopped()) interrupted();
  }
  for (const ConvCensus& worker : workers) result.inferred += worker.inferred();
}

/// Adds what each fault of a layer does to the evaluator's images, rows `first` on of the whole set.
void infer_layer(const StoredNetwork& stored, const Evaluator& evaluator, Index first,
                 const CensusRequest& request, Progress& progress, LayerCensus& out, Census& result) {
  struct Worker {
    explicit Worker(const Evaluator& of) : scratch(of) {}
    Evaluator::Scratch scratch;
    TrialSamples samples;
  };
  tbb::enumerable_thread_specific<Worker> workers([&] { return Worker(evaluator); });
  const std::size_t bits = request.bits.size();
  const auto layer = static_cast<std::uint32_t>(out.layer);
  const Encoded& codes = stored.codes[layer];
  const auto images = static_cast<std::int64_t>(evaluator.golden().prediction.size());
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
      out.changed[f] += static_cast<std::int32_t>(counts.changed);
      out.broken[f] += static_cast<std::int32_t>(counts.broken);
      out.fixed[f] += static_cast<std::int32_t>(counts.fixed);
      out.no_prediction[f] += static_cast<std::int32_t>(counts.no_prediction);
      if (counts.drop_max > out.worst_drop[f]) {
        out.worst_drop[f] = counts.drop_max;
        out.worst_image[f] = static_cast<std::int32_t>(first + counts.worst_sample);
      }
    }
    progress.add(images);
  });
  if (progress.stopped()) interrupted();
  result.inferred += static_cast<std::int64_t>(out.faults()) * images;
}

/// The layers of the request that the dense end has.
std::vector<Traced> traced_layers(const DenseEnd& end, const StoredNetwork& stored, Census& result) {
  std::vector<Traced> layers;
  for (LayerCensus& out : result.layers) {
    if (out.method == CensusMethod::rays)
      layers.push_back(
          {out.layer - end.first_layer, &stored.codes[static_cast<std::size_t>(out.layer)], &out});
  }
  return layers;
}

/// Which method each layer takes. The dense end serves where it is given.
void choose_methods(const Network& network, const DenseEnd* end, Census& result) {
  for (LayerCensus& out : result.layers) {
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(network.node_of(out.layer))];
    const bool dense = node.layer->kind() == "dense";
    if (end != nullptr && out.layer >= end->first_layer) {
      out.method = CensusMethod::rays;
    } else if (node.layer->kind() == "conv2d") {
      out.method = CensusMethod::channels;
    } else {
      out.method = CensusMethod::inference;
      if (result.why_not_traced.empty())
        result.why_not_traced = std::string(node.layer->kind()) + " layer " + network.layer_name(out.layer) +
                                (dense ? " is no part of a chain of dense layers with ReLU at the end"
                                       : " is neither dense nor a convolution");
    }
  }
}

/// A network that is no chain: block by block of images.
void take_blocks(const StoredNetwork& stored, const Dataset& data, const DenseEnd* end,
                 const CensusRequest& request, Progress& progress, Census& result) {
  const std::vector<PackedDense> packed = pack_dense(stored.network, stored.network.view());
  const Index most = request.block > 0 ? request.block : block_size(stored.network);
  for (Index first = 0; first < data.size(); first += most) {
    const Index count = std::min(most, data.size() - first);
    const ImageBlock block = image_block(stored.network, data, first, count);
    if (block.finite) {
      for (LayerCensus& out : result.layers) {
        if (out.method == CensusMethod::channels)
          census_channels(block, stored, end, packed, request, progress, out, result);
      }
    }
    std::vector<Traced> layers;
    if (end != nullptr) layers = traced_layers(*end, stored, result);
    bool traced = layers.empty();
    if (block.finite && !layers.empty()) {
      const Dataset above = end_data(block.golden.of(end->source, block.data.images), block.data.labels,
                                     stored.network.classes());
      const Evaluator evaluator(end->network, above);
      const auto chain = make_chain(end->network, above, evaluator.golden());
      traced = chain != nullptr;
      Evaluator::Tables tables;
      tables.packed = pack_dense(end->network, end->network.view());
      if (traced)
        trace_layers({end->network, above, evaluator.golden(), tables}, *chain, layers, first, request,
                     progress, result);
    }
    if (block.finite && traced) continue;
    const Evaluator evaluator(stored.network, block.data);
    for (LayerCensus& out : result.layers) {
      const bool done = out.method == CensusMethod::channels ? block.finite : traced;
      if (out.method == CensusMethod::inference || done) continue;
      infer_layer(stored, evaluator, first, request, progress, out, result);
      if (result.why_not_traced.empty())
        result.why_not_traced = "some values without fault are infinite, or close to it";
    }
  }
}

}  // namespace

std::vector<std::string> Census::methods() const {
  std::vector<std::string> names;
  for (const auto& [method, name] : {std::pair{CensusMethod::rays, "rays"},
                                     {CensusMethod::channels, "channels"},
                                     {CensusMethod::inference, "inference"}}) {
    const auto takes = [m = method](const LayerCensus& layer) { return layer.method == m; };
    if (std::any_of(layers.begin(), layers.end(), takes)) names.emplace_back(name);
  }
  return names;
}

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
  Progress progress(request, weights * data.size());
  std::unique_ptr<const Chain> chain;
  std::string why = "not asked for";
  if (request.trace) {
    chain = make_chain(stored.network, data, evaluator.golden());
    why = why_not(stored.network, chain.get());
  }
  if (why.empty()) {
    Evaluator::Tables tables;
    tables.packed = pack_dense(stored.network, stored.network.view());
    std::vector<Traced> layers;
    for (LayerCensus& out : result.layers)
      layers.push_back({out.layer, &stored.codes[static_cast<std::size_t>(out.layer)], &out});
    trace_layers({stored.network, data, evaluator.golden(), tables}, *chain, layers, 0, request, progress,
                 result);
  } else if (request.trace) {
    const auto end = census::dense_end(stored.network);
    choose_methods(stored.network, end.get(), result);
    take_blocks(stored, data, end.get(), request, progress, result);
  } else {
    for (LayerCensus& out : result.layers) out.method = CensusMethod::inference;
    result.why_not_traced = why;
  }
  for (LayerCensus& out : result.layers) {
    if (out.method == CensusMethod::inference)
      infer_layer(stored, evaluator, 0, request, progress, out, result);
  }
  result.traced = result.why_not_traced.empty();
  return result;
}

}  // namespace temblor
