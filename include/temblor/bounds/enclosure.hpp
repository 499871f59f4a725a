#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <temblor/bounds/bound.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// What every bound of the real-valued kind starts from: boxes around the parameters of some layers.
struct BoxProblem {
  const Network& network;
  const Dataset& data;
  const std::vector<std::optional<Radius>>& radius;  ///< one a weighted layer; empty where untouched
  /// The perturbed network runs in float32: activations that round get their Layer::float_error() as well.
  bool float32 = false;
  /// Bounds how much f^{yj} may rise instead of how much it may drop.
  bool rise = false;
};

/// Enclosures of one block of images, node by node. Node -1 is the images.
class Enclosures {
 public:
  /// Runs all nodes before `last`. `first` and `count` choose rows of problem.data.images.
  Enclosures(const BoxProblem& problem, Index first, Index count, int last);

  /// Of the unperturbed network: as narrow as rounding allows.
  const Interval& nominal(int node) const { return at(nominal_, node); }
  /// Of every network within the boxes.
  const Interval& moved(int node) const { return touched(node) ? at(moved_, node) : at(nominal_, node); }
  /// Whether a perturbed layer comes before this node's output.
  bool touched(int node) const { return node >= 0 && touched_[static_cast<std::size_t>(node)]; }
  /// Layer::reach of a perturbed node whose inputs are not touched; empty where it was not needed.
  const MatrixD& reach(int node) const { return reach_[static_cast<std::size_t>(node)]; }

 private:
  const Interval& at(const std::vector<Interval>& nodes, int node) const {
    return node < 0 ? images_ : nodes[static_cast<std::size_t>(node)];
  }

  Interval images_;
  std::vector<Interval> nominal_;
  std::vector<Interval> moved_;
  std::vector<MatrixD> reach_;
  std::vector<bool> touched_;
};

/// max(abs(lower), abs(upper)), element-wise.
MatrixD magnitude(const Interval& interval);
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
BoundValues box_bound(const BoundContext& context, const BoundMaker& make);
/// The rows [first, first + count) of the block with each label, in index order; one list a class.
std::vector<std::vector<Index>> rows_by_label(const Dataset& data, Index first, Index count);
/// Why no bound over boxes applies to this set or network; "" when one does.
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
