#pragma once

#include "state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <temblor/network/conv.hpp>

namespace temblor {

/// A network laid out for following a change through its graph, image by image.
struct RippleGraph {
  enum class Kind { convolution, dense, elementwise, reshape, sum, pool, other };

  struct Node {
    Kind kind = Kind::other;
    Index channels = 0;   ///< of the output; its units where that has no planes
    Index positions = 1;  ///< of one channel
    const ConvolutionLayer* layer = nullptr;
    PackedConv packed;                         ///< convolutions, golden weights
    std::optional<PlaneConv> plane;            ///< convolutions
    std::shared_ptr<const Layer> one_channel;  ///< pools: the same for one channel
    std::vector<float> signs;                  ///< sums: one an input
    bool lends = false;                        ///< one element-wise layer alone reads the outputs
    bool into_sums = false;                    ///< sums alone read the outputs: comparing waits for them
  };

  explicit RippleGraph(const Network& network);

  std::vector<Node> nodes;
  int tail = 0;   ///< first node of the dense chain at the end; the number of nodes when there is none
  int exit = -1;  ///< the node that the tail reads; the last node when there is no tail
};

/// Part of a node's outputs for one image.
struct Region {
  bool all_channels = true;
  bool all_positions = true;
  std::vector<Index> channels;          ///< ascending, when not all
  std::vector<std::int32_t> positions;  ///< ascending, when not all

  bool full() const { return all_channels && all_positions; }
};

/// Changed output channels of one layer, a convolution before the tail.
struct RippleTrial {
  int layer = 0;
  std::vector<Index> channels;       ///< ascending
  const Weights* weights = nullptr;  ///< of the layer, all channels
  PackedConv packed{};               ///< likewise, when they are needed
  bool is_packed = false;
};

/// Follows changed output channels of one convolution: of every node on the way only what can differ from the
/// golden run is computed, and what turns out equal is dropped, where golden outputs are at hand to compare
/// with: kept ones, or those of the image at hand that were computed for an earlier trial, or that several
/// trials will use. Exact: every output is computed as in a full pass, bit for bit.
class Ripple {
 public:
  explicit Ripple(const Network& network)
      : network_(&network), clean_(network.nodes().size()), slots_(network.nodes().size()) {}

  /// Readies for trials; everything given must live until the last image is done.
  void begin(const Baseline& base, const RippleGraph& graph, std::span<const RippleTrial> trials);
  /// The next runs are of this image.
  void look_at(Index image);
  /// Outputs of the exit node of one trial; null where they are the golden ones.
  const float* run(RippleTrial& trial);

 private:
  struct Slot {
    Matrix own;                    ///< [1 x units]
    const float* value = nullptr;  ///< the outputs, once they are known everywhere
    bool changed = false;          ///< otherwise they are the golden ones, known or not
    Region region;                 ///< where they may differ; known there, in `own`
  };

  /// Golden outputs of the image at hand.
  struct Clean {
    Matrix own;  ///< [1 x units]
    bool known = false;
  };

  const float* golden(int node) const;
  const float* clean(int node);
  const float* compared(std::size_t node);
  const Weights* weights_of(std::size_t node) const;
  void calculate(std::size_t node, std::span<const float* const> inputs, const PackedConv& packed,
                 Matrix& own) const;
  const float* complete(int node);
  const float* known_in(int node, const Region& region);
  void compute(std::size_t node);
  void step(std::size_t node);
  void start(std::size_t node);
  void spread(std::size_t node);
  void pool(std::size_t node);
  void pointwise(std::size_t node);
  void reserve(std::size_t node);
  void settle(std::size_t node);
  void fill(std::size_t node);
  void reach(std::size_t node, const Region& from, Region& to);
  void unite(const Region& other, Region& region) const;

  const Network* network_;
  const Baseline* base_ = nullptr;
  const RippleGraph* graph_ = nullptr;
  RippleTrial* trial_ = nullptr;
  std::size_t first_ = 0;     ///< node of the changed layer
  std::vector<int> passing_;  ///< trials that may change a node, of each
  Index image_ = 0;
  std::vector<Clean> clean_;
  std::vector<Slot> slots_;
  std::vector<float> values_;
  std::vector<std::int32_t> marks_;
  std::vector<std::int32_t> rest_;
  Matrix plane_in_, plane_out_;
};

}  // namespace temblor
