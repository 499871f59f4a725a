#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/bounds/moves.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// What enters a network in place of images that are known exactly, in boxes [images x values].
struct EntryBox {
  Interval exact;       ///< in exact arithmetic, of the base network and of every member of the set
  Interval in_float32;  ///< of the perturbed network that runs in float32; empty where nobody asks
};

/// What every bound of the real-valued kind starts from: boxes around the parameters of some layers, and what
/// moves besides.
struct BoxProblem {
  const Network& network;
  const Dataset& data;
  const std::vector<std::optional<Radius>>& radius;  ///< one a weighted layer; empty where untouched
  /// The perturbed network runs in float32: layers without parameters that round get Layer::float_error() and
  /// Layer::float_relative() as well.
  bool float32 = false;
  /// Bounds how much f^{yj} may rise instead of how much it may drop.
  bool rise = false;
  Moves moves{};
  /// The part of `radius` that a set makes of parameters, which positions share; what is beyond it, float32
  /// rounding, each position has for itself. Null: all of `radius` is the set's.
  const std::vector<std::optional<Radius>>* shared = nullptr;
  /// Null: the images themselves, which move by moves.input.
  const EntryBox* entry = nullptr;
};

/// The boxes of rows [first, first + count) that the base network (`moved` false) or the perturbed one meets.
Interval entering(const BoxProblem& problem, bool moved, Index first, Index count);

/// Enclosures of one block of images, node by node. Node -1 is the images.
class Enclosures {
 public:
  /// Runs all nodes before `last`. `first` and `count` choose rows of problem.data.images.
  Enclosures(const BoxProblem& problem, Index first, Index count, int last);

  /// Of the unperturbed network: as narrow as rounding allows.
  const Interval& nominal(int node) const { return at(nominal_, node); }
  /// Of every network of the set, and every image of its box.
  const Interval& moved(int node) const {
    if (node < 0) return image_moves_ ? image_box_ : images_;
    return touched(node) ? at(moved_, node) : at(nominal_, node);
  }
  /// Whether this node's output can change: a perturbed layer comes before it, or the image moves.
  bool touched(int node) const { return node < 0 ? image_moves_ : touched_[static_cast<std::size_t>(node)]; }
  /// How far boxes and l2 balls (not the budget) move the outputs of a perturbed node whose inputs are not
  /// touched; empty elsewhere.
  const MatrixD& reach(int node) const { return reach_[static_cast<std::size_t>(node)]; }
  /// How far balls and the budget move each output of a node from what its inputs make of it; empty where
  /// neither acts. Part of moved().
  const MatrixD& moves_reach(int node) const { return moves_reach_[static_cast<std::size_t>(node)]; }
  /// What float32 arithmetic may add to or take off the outputs of a layer without parameters, [images x
  /// units]; empty: nothing. Part of moved().
  const MatrixD& rounding(int node) const { return rounding_[static_cast<std::size_t>(node)]; }

 private:
  const Interval& at(const std::vector<Interval>& nodes, int node) const {
    return node < 0 ? images_ : nodes[static_cast<std::size_t>(node)];
  }

  bool image_moves_ = false;
  Interval images_;
  Interval image_box_;  ///< empty when the image does not move
  std::vector<Interval> nominal_;
  std::vector<Interval> moved_;
  std::vector<MatrixD> reach_;
  std::vector<MatrixD> moves_reach_;
  std::vector<MatrixD> rounding_;
  std::vector<bool> touched_;
};

/// max(abs(lower), abs(upper)), element-wise.
MatrixD magnitude(const Interval& interval);
/// Upper limits on abs(A) m + abs(c) of an affine layer A z + c without parameters, [images x outputs], for
/// magnitudes m of its inputs.
MatrixD affine_size(const Layer& layer, const std::vector<MatrixD>& sizes);
/// Images a block: fixed by the network alone, so that results do not depend on the threads.
Index bound_block(const Network& network);
/// One block's work: rows [first, first + count) of the result, [count x classes].
using BlockBound = std::function<MatrixD(const BoxProblem&, Index first, Index count)>;
/// Runs `block` on every block of images in parallel and collects its rows: [images x classes], 0 at the
/// label.
MatrixD over_blocks(const BoxProblem& problem, const BlockBound& block);
/// Boxes around the parameters that stand for float32 evaluation in any order of summation (theory, section
/// 6), one a weighted layer: `rounded` for the base network, gamma abs(W); `grown` for the set's members, R +
/// gamma (abs(W) + R). Usage error where nothing is known about a layer's rounding.
struct Float32Boxes {
  std::vector<std::optional<Radius>> rounded, grown;
};
Float32Boxes float32_boxes(const Network& network, const ThreatSet& set);
/// The value of a bound and, when asked for, its arithmetic part (theory, section 6): the box grows by what
/// float32 sums in any order amount to, R' = R + gamma (abs(W) + R), and the base network's own rounding,
/// which is a member of the box gamma abs(W), may raise the pair margin it starts from. arithmetic = B(R') -
/// B(R) + rise(gamma abs(W)).
BoundValues box_bound(const BoundContext& context, const BlockBound& block);
/// Makes what a bound needs of a problem but not of single images, once, and gives back the work of a block.
using BoundMaker = std::function<BlockBound(const BoxProblem&)>;
BoundValues box_bound(const BoundContext& context, const BoundMaker& make, const EntryBox* entry = nullptr);
/// The rows [first, first + count) of the block with each label, in index order; one list a class.
std::vector<std::vector<Index>> rows_by_label(const Dataset& data, Index first, Index count);
/// Why no bound of the real-valued kind applies to this set or network; "" when one does.
std::string refuses_set(const Network& network, const ThreatSet& set);
/// The same for bounds over boxes around the parameters alone: no balls, no budget, the image stays.
std::string refuses_box(const Network& network, const ThreatSet& set);
/// Why the network is not a chain of dense layers and element-wise activations that ends in a dense layer.
std::string refuses_chain(const Network& network);

/// Differences of the last dense layer's rows against one label: row j is W_label - W_j, in double.
struct MarginRows {
  MatrixD weight;  ///< [classes x inputs]
  VectorD bias;    ///< [classes]
  Radius radius;   ///< R_label + R_j, r_label + r_j
};
MarginRows margin_rows(const Weights& weights, const Radius* radius, std::int32_t label);

}  // namespace temblor
