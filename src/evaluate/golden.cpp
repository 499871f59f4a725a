#include "golden.hpp"

#include "tally.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

/// Hands out the outputs of some nodes as blocks of images are inferred.
template <class Take>
class Reader final : public NodeHook {
 public:
  Reader(const std::vector<bool>& wanted, const Take& take) : wanted_(wanted), take_(take) {}
  bool wants(int node) const override { return wanted_[static_cast<std::size_t>(node)]; }
  void change(int node, float* values) override { take_(node, images.first, images.count, values); }

  BlockRunner::Images images{};

 private:
  const std::vector<bool>& wanted_;
  const Take& take_;
};

/// take(node, first image, images, values) for the wanted nodes, blocks of images in parallel. Nodes in
/// `golden` are not computed again.
template <class Take>
void read_nodes(const Network& network, const Dataset& data, const Activations& golden,
                const std::vector<bool>& wanted, const Take& take) {
  const std::vector<PackedDense> packed = pack_dense(network, network.view());
  std::vector<const PackedDense*> pointers;
  for (const PackedDense& layer : packed) pointers.push_back(&layer);
  const std::vector<bool> clean(network.nodes().size(), false);
  const auto run = [&](const tbb::blocked_range<Index>& range) {
    BlockRunner runner(network);
    runner.use(network.view(), pointers);
    Reader<Take> reader(wanted, take);
    for (Index first = range.begin(); first < range.end(); first += runner.rows()) {
      reader.images = {&data.images, first, std::min(runner.rows(), range.end() - first)};
      runner.run(reader.images, golden, clean, nullptr, &reader);
    }
  };
  // Isolated: a worker that waits here must not start another trial with the same scratch.
  tbb::this_task_arena::isolate(
      [&] { tbb::parallel_for(tbb::blocked_range<Index>(0, data.size(), BlockRunner::block), run); });
}

}  // namespace

Golden run_golden(const Network& network, const Dataset& data, std::int64_t memory) {
  Golden golden;
  const std::vector<bool> kept = nodes_to_keep(network, data.size(), memory);
  std::vector<Matrix>& outputs = golden.activations.outputs;
  outputs.resize(kept.size());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) outputs[i].resize(data.size(), network.nodes()[i].shape.size());
  }
  read_nodes(network, data, {}, kept, [&](int node, Index first, Index count, const float* values) {
    Matrix& to = outputs[static_cast<std::size_t>(node)];
    std::copy_n(values, count * to.cols(), to.data() + first * to.cols());
  });
  const Index classes = network.classes();
  for (Index n = 0; n < data.size(); ++n) {
    const float* logits = golden.logits().data() + n * classes;
    const std::int32_t label = data.labels[static_cast<std::size_t>(n)];
    ensure(label >= 0 && label < classes, "labels are classes of the network");
    golden.prediction.push_back(predict(logits, classes));
    golden.margin.push_back(margin(logits, classes, label));
    golden.correct += golden.prediction.back() == label ? 1 : 0;
    golden.argmax_correct += argmax(logits, classes) == label ? 1 : 0;
    golden.no_prediction += golden.prediction.back() < 0 ? 1 : 0;
  }
  return golden;
}

const Matrix* kept_outputs(const Network& network, const Dataset& data, const Golden& golden, int node) {
  while (node >= 0) {
    const Matrix& outputs = golden.activations.outputs[static_cast<std::size_t>(node)];
    if (outputs.size() != 0) return &outputs;
    const Network::Node& at = network.nodes()[static_cast<std::size_t>(node)];
    if (!at.layer->reshapes()) return nullptr;
    node = at.inputs[0];
  }
  return &data.images;
}

std::shared_ptr<const Matrix> golden_outputs(const Network& network, const Dataset& data,
                                             const Golden& golden, int node) {
  if (const Matrix* kept = kept_outputs(network, data, golden, node)) return {std::shared_ptr<void>(), kept};
  std::vector<bool> wanted(network.nodes().size(), false);
  wanted[static_cast<std::size_t>(node)] = true;
  auto all =
      std::make_shared<Matrix>(data.size(), network.nodes()[static_cast<std::size_t>(node)].shape.size());
  read_nodes(network, data, golden.activations, wanted,
             [&](int, Index first, Index count, const float* values) {
               std::copy_n(values, count * all->cols(), all->data() + first * all->cols());
             });
  return all;
}

std::vector<OutputRange> golden_ranges(const Network& network, const Dataset& data, const Golden& golden) {
  struct Extent {
    float low = std::numeric_limits<float>::infinity();
    float high = -std::numeric_limits<float>::infinity();
    bool finite = true;
  };
  const auto& nodes = network.nodes();
  std::vector<bool> wanted;
  for (const Network::Node& node : nodes)
    wanted.push_back(node.layer->elementwise() || node.layer->kind() == "held");
  std::vector<Extent> extents(nodes.size());
  std::mutex mutex;
  read_nodes(network, data, golden.activations, wanted,
             [&](int node, Index, Index count, const float* values) {
               Extent own;
               const Index units = nodes[static_cast<std::size_t>(node)].shape.size();
               for (Index k = 0; k < count * units; ++k) {
                 own.low = std::min(own.low, values[k]);
                 own.high = std::max(own.high, values[k]);
                 own.finite = own.finite && std::isfinite(values[k]);
               }
               const std::lock_guard lock(mutex);
               Extent& all = extents[static_cast<std::size_t>(node)];
               all.low = std::min(all.low, own.low);
               all.high = std::max(all.high, own.high);
               all.finite = all.finite && own.finite;
             });
  std::vector<OutputRange> ranges(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (wanted[i] && data.size() > 0 && extents[i].finite)
      ranges[i] = {extents[i].low, extents[i].high, true};
  }
  return ranges;
}

}  // namespace temblor
