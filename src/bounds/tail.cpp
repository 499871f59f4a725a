#include <algorithm>

#include <tbb/parallel_for.h>

#include <temblor/base/error.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/tail.hpp>

namespace temblor {
namespace {

const Network::Node& node_at(const Network& network, int node) {
  return network.nodes()[static_cast<std::size_t>(node)];
}

/// The first weighted layer that may change; the last one where none does.
int first_moving(const Network& network, const ThreatSet& set) {
  const int last = network.layers() - 1;
  for (int layer = 0; layer < last; ++layer) {
    const auto& radius = set.radius[static_cast<std::size_t>(layer)];
    const bool chosen = std::binary_search(set.layers.begin(), set.layers.end(), layer);
    if (chosen || (radius && !radius->zero())) return layer;
  }
  return last;
}

/// Whether a node is of the chain's kinds and reads the one before it alone.
bool continues(const Network& network, int node) {
  const Network::Node& own = node_at(network, node);
  if (own.inputs != std::vector<int>{node - 1}) return false;
  return own.layer->kind() == "dense" || own.layer->kind() == "relu" || own.layer->reshapes();
}

std::string called(const Network::Node& node) {
  return "layer '" + node.name + "' (" + std::string(node.layer->kind()) + ")";
}

/// The dense layers of the longest tail, "" where the network does not end in one.
std::string covered(const Network& network) {
  std::string layers;
  for (int node = static_cast<int>(network.nodes().size()) - 1; node >= 0; --node) {
    const Network::Node& own = node_at(network, node);
    if (own.layer->kind() == "dense")
      layers = std::to_string(own.weights) + (layers.empty() ? "" : "+" + layers);
    if (layers.empty() || !continues(network, node)) break;
  }
  return layers;
}

Interval rows(Index images, Index values) {
  return {MatrixD(images, values), MatrixD(images, values)};
}

void put_rows(const Interval& from, Index first, Interval& to) {
  to.lower.middleRows(first, from.lower.rows()) = from.lower;
  to.upper.middleRows(first, from.upper.rows()) = from.upper;
}

}  // namespace

DenseTail::DenseTail(const Network& network, const ThreatSet& set)
    : whole_(&network),
      whole_set_(&set),
      before_(first_moving(network, set)),
      entry_(node_at(network, network.node_of(before_)).inputs.front()),
      network_({{network.weights(before_).weight.cols()}}, {}),
      set_(set) {
  for (int node = network.node_of(before_); node < static_cast<int>(network.nodes().size()); ++node) {
    const Network::Node& own = node_at(network, node);
    if (own.layer->reshapes()) continue;
    network_.add(own.layer, own.weights < 0 ? Weights{} : network.weights(own.weights), {}, own.name);
  }
  set_.radius.erase(set_.radius.begin(), set_.radius.begin() + before_);
  for (int& layer : set_.layers) layer -= before_;
}

Dataset DenseTail::data(const Dataset& data, const EntryBox& entry) const {
  Dataset tail;
  tail.name = data.name;
  tail.shape = network_.input();
  tail.classes = data.classes;
  tail.images = (0.5 * (entry.exact.lower + entry.exact.upper)).cast<float>();
  tail.labels = data.labels;
  tail.index = data.index;
  return tail;
}

EntryBox DenseTail::entry(const Dataset& data, bool float32) const {
  const Index images = data.size();
  const Index values = network_.input().size();
  EntryBox box{rows(images, values), {}};
  if (float32) box.in_float32 = rows(images, values);
  const std::vector<std::optional<Radius>> none(static_cast<std::size_t>(whole_->layers()));
  const std::vector<std::optional<Radius>> rounded =
      float32 ? float32_boxes(*whole_, *whole_set_).rounded : none;
  const Index block = bound_block(*whole_);
  tbb::parallel_for(Index{0}, (images + block - 1) / block, [&](Index b) {
    const Index first = b * block;
    const Index count = std::min(block, images - first);
    put_rows(Enclosures({*whole_, data, none}, first, count, entry_ + 1).nominal(entry_), first, box.exact);
    if (!float32) return;
    put_rows(Enclosures({*whole_, data, rounded, true}, first, count, entry_ + 1).moved(entry_), first,
             box.in_float32);
  });
  return box;
}

SampleDelta DenseTail::of_tail(const SampleDelta& whole) const {
  SampleDelta tail = whole;
  tail.set = set_;
  tail.slack.erase(tail.slack.begin(), tail.slack.begin() + before_);
  return tail;
}

SampleDelta DenseTail::of_whole(const SampleDelta& tail) const {
  SampleDelta whole = tail;
  whole.set = *whole_set_;
  whole.slack.insert(whole.slack.begin(), static_cast<std::size_t>(before_), Matrix{});
  return whole;
}

std::string refuses_dense_tail(const Network& network, const ThreatSet& set) {
  const std::string why = refuses_linear_chain(network, set);
  if (why.empty()) return {};
  if (set.input > 0) return why + ", and the image moves";
  const int layer = first_moving(network, set);
  const int first = network.node_of(layer);
  const std::string layers = covered(network);
  const std::string cure =
      layers.empty()
          ? ""
          : "; changes in the dense layers that the network ends with are covered: --layers " + layers;
  const Network::Node& moving = node_at(network, first);
  if (moving.layer->kind() == "conv2d")
    return called(moving) +
           " may change: all positions share its kernel, so what they reach together is no box" + cure;
  if (moving.layer->kind() != "dense") return called(moving) + " may change and is not dense" + cure;
  for (int node = first + 1; node < static_cast<int>(network.nodes().size()); ++node) {
    if (!continues(network, node)) {
      return called(node_at(network, node)) + " comes behind '" + moving.name +
             "', which may change: only dense layers and ReLU may follow" + cure;
    }
  }
  if (network.nodes().back().layer->kind() != "dense") return "the last layer is not dense";
  return {};
}

}  // namespace temblor
