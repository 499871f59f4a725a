#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <temblor/network/conv.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// The dense layers of a network, packed for one set of parameters: one entry a weighted layer, unused for
/// other kinds.
std::vector<PackedDense> pack_dense(const Network& network, const WeightView& weights);

/// New outputs of some units of one node, for the images of one run; its other units keep their golden
/// outputs.
struct UnitPatch {
  int node = -1;
  std::span<const Index> units;
  const float* values = nullptr;  ///< [images of the run x units]
};

/// Limits of one node's outputs.
struct OutputRange {
  float low = 0;
  float high = 0;
  bool limited = false;
};

/// Changes the outputs of some nodes as a run comes to them.
class NodeHook {
 public:
  virtual ~NodeHook() = default;
  virtual bool wants(int node) const = 0;
  /// values [images of the run x units]
  virtual void change(int node, float* values) = 0;
};

/// Runs a network block of images by block, in buffers that are reused: nothing is allocated from run to run
/// by dense, convolution, element-wise and reshaping layers. The same arithmetic as forward(), bit for bit.
class BlockRunner {
 public:
  /// The most images of a run.
  static constexpr Index block = 252;
  /// Images a run should have, at most `block`: the activations of this network's widest layer stay in the
  /// second-level cache. Results do not depend on it.
  Index rows() const { return rows_; }

  explicit BlockRunner(const Network& network);

  /// What the next runs compute with: pointers must live until they are done. `packed` as from pack_dense.
  void use(const WeightView& weights, std::vector<const PackedDense*> packed);

  /// From now on outputs of the nodes with limits, one entry a node, are clipped to them before another node
  /// reads them, hooks done; NaN becomes the lower limit. Not for nodes that reshape. Null: no limits.
  void limit(const std::vector<OutputRange>* ranges) { ranges_ = ranges; }

  /// Images of a run: `count` <= block rows, from `first` on, or those listed in `rows`.
  struct Images {
    const Matrix* images = nullptr;
    Index first = 0;
    Index count = 0;
    const std::int32_t* rows = nullptr;  ///< then `first` is not used
  };
  /// Every node. The result (logits, [count x classes]) is valid until the next run.
  RowsView run(const Images& images);
  /// Only nodes marked in `dirty`; the others have their outputs in `golden` (all images), or where those are
  /// empty are computed too, as far as a dirty node, the hook or the result needs them. `hook` is given nodes
  /// of either kind.
  RowsView run(const Images& images, const Activations& golden, const std::vector<bool>& dirty,
               const UnitPatch* patch = nullptr, NodeHook* hook = nullptr);

  /// Nodes that depend on a marked one, the marked ones included.
  std::vector<bool> descendants(std::vector<bool> marked) const;

 private:
  struct Slot {
    RowsView view;
    float* own = nullptr;    ///< the view's values when they are this runner's to change
    Matrix* home = nullptr;  ///< the matrix that is the view, where there is one
    Matrix matrix;
    Matrix gathered;
    const ConvolutionLayer* convolution = nullptr;
    PackedConv conv;      ///< of a convolution
    bool packed = false;  ///< `conv` holds what `use` gave
  };

  /// What a run does with a node.
  enum class Use : std::uint8_t { none, value, computed };

  void choose(const Activations& golden, const std::vector<bool>& dirty, const UnitPatch* patch,
              const NodeHook* hook);
  void run_node(std::size_t i, const Images& images);
  void clip_node(std::size_t i, Index count);
  const Matrix* gather(int node, const Images& images);
  void patch_node(std::size_t i, const Images& images, const Matrix& golden, const UnitPatch& patch);
  void offer(std::size_t i, Index count, NodeHook& hook);
  float* buffer_of(std::size_t i, Index count);
  const RowsView& view_of(int node) const;
  Index units_of(int node) const;

  const Network* network_;
  std::vector<int> consumers_;  ///< how many nodes read each node
  std::vector<bool> dense_;
  Index rows_ = block;
  std::vector<bool> all_;
  std::vector<Use> uses_;
  WeightView weights_;
  std::vector<const PackedDense*> packed_;
  const std::vector<OutputRange>* ranges_ = nullptr;
  RowsView images_;
  Matrix gathered_images_;
  std::vector<Slot> slots_;
};

}  // namespace temblor
