#pragma once

#include "graph.hpp"
#include "sparse.hpp"

#include <cstdint>
#include <optional>
#include <vector>

#include <temblor/attacks/pgd.hpp>

namespace temblor::pgd {

/// Loss and accuracy over some images.
struct Score {
  double loss = 0;  ///< sum over images
  std::int64_t correct = 0;
};

/// The loss's gradient by the logits (summed, not averaged, over images) is written to `grad` unless null;
/// the score of the rows is added to `score`.
void score_logits(const Matrix& logits, const std::vector<std::int32_t>& labels, Loss loss, Matrix* grad,
                  Score& score);

/// The images of one dataset, cut into minibatches, chunks and blocks, with everything that stays the same
/// while weights of `layers` change: outputs of fixed nodes, and sparse forms of what perturbed dense layers
/// read.
///
/// Minibatch b of B holds images b, b + B, b + 2B, ... A block's activations stay in the second-level cache;
/// a chunk is the unit of parallel work and of the folds, at most 16 a minibatch. All sizes follow from the
/// number of images.
class Blocks {
 public:
  Blocks(const Network& network, const Dataset& data, const LayerSet& layers, Index batch, Loss loss);

  std::size_t batches() const { return batches_.size(); }
  Index images() const { return images_; }

  /// Score of one minibatch under `weights`; adds nothing to `grads`, which are overwritten (sized like the
  /// parameters of the chosen layers) when `wanted`.
  Score run(const WeightView& weights, std::size_t batch, bool wanted, std::vector<Weights>& grads) const;
  /// Score of all images.
  Score run_all(const WeightView& weights) const;

 private:
  struct Block {
    Matrix images;      ///< empty when no dense operation reads them
    Activations fixed;  ///< outputs of fixed nodes that are read
    std::vector<std::int32_t> labels;
    std::vector<std::optional<SparseTiles>> rows;     ///< by node: sparse input of a perturbed dense layer
    std::vector<std::optional<SparseTiles>> columns;  ///< its transposed
  };
  using Chunk = std::vector<Block>;
  struct Sums;
  struct Worker;

  Block make_block(const Dataset& data, Index first, Index stride, Index count) const;
  void run_block(const Block& block, const WeightView& weights, const std::vector<Panels>& packed,
                 Worker& worker, Sums* sums, Score& score) const;
  std::vector<Panels> pack_weights(const WeightView& weights) const;
  const Matrix& source(const Block& block, int node) const;

  const Network* network_;
  LayerSet layers_;
  std::vector<int> slot_;  ///< by weighted layer: position in layers_, or -1
  Loss loss_;
  Reach reach_;
  std::vector<bool> sparse_;  ///< by node
  Index images_;
  std::vector<std::vector<Chunk>> batches_;
};

}  // namespace temblor::pgd
