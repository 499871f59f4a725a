#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <temblor/bounds/adversary.hpp>
#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/shared_kernel.hpp>
#include <temblor/bounds/slopes.hpp>

namespace temblor {

/// Two lines a unit that enclose an activation on its limits: below p + below_offset <= f(p) <= above p +
/// above_offset, [images x units] each. A max-pool output has them in one cell of its window, p_cell.
struct Band {
  MatrixD below;
  MatrixD below_offset;
  MatrixD above;
  MatrixD above_offset;
  std::vector<Index> cell;  ///< [images x outputs] for max-pool, an input unit; empty otherwise
};

/// Whether bands are known for this kind of layer: relu, leaky-relu, clip and max-pool.
bool has_band(const Layer& layer);
/// Where an element-wise layer with a band changes its slope; none for other layers.
std::vector<double> kinks_of(const Layer& layer);
/// The band on limits of the layer's input, whose shape is `input`. relu and leaky-relu: the chord above,
/// below the steeper or the flatter slope, whichever leaves less room. clip likewise at each kink. max-pool:
/// with p the cell whose limits have the highest middle and M the largest upper limit of the others, the
/// cell below and the chord of max(p, M) above: both are p where no other cell can be larger.
Band enclosing_band(const Layer& layer, const Shape& input, const Interval& limits);

/// The lines of an element-wise activation that other slopes may take, [units]: the line below is value +
/// slope (p - pivot) for any slope from `least` to `most`; where these are equal, the band's own is the only
/// one. Empty: there are none. relu, leaky-relu and the lower kink of a clip have such lines below, a clip's
/// upper kink above.
struct FreeLines {
  Eigen::RowVectorXd least;
  Eigen::RowVectorXd most;
  double pivot = 0;
  double value = 0;
};
struct FreeBand {
  FreeLines below;
  FreeLines above;
};
/// For one image's limits of the layer's input, row n of `limits`.
FreeBand free_band(const Layer& layer, const Interval& limits, Index n);

/// Bands of single rows [rows x units], one a node; empty: its case's.
using RowBands = std::vector<Band>;

/// What a backward pass went through.
struct GraphTrace {
  std::vector<MatrixD>
      coefficients;         ///< on the outputs of the image, then of every node [rows x units], or empty
  std::vector<int> closed;  ///< [rows]: the node whose limits gave the best value; -2: the last end
};

/// What is known of a block of images, node by node.
struct GraphCases {
  const Enclosures* enclosures = nullptr;
  std::vector<Interval> limits;   ///< outputs of touched nodes; empty for others
  std::vector<MatrixD> size;      ///< magnitudes of all that goes into an output, the box's part included
  std::vector<MatrixD> reach;     ///< what the box adds where a dense node's inputs are not touched
  std::vector<MatrixD> rounding;  ///< what each output may be off by on its own (float32); empty: nothing
  std::vector<Band> bands;
  /// Of nodes that are channel by channel what a layer that a budget reaches makes of them: the node of that
  /// layer; -1 for others. Then `still` are the outputs of channels on whose parameters nothing is spent
  /// (theory, section 4, few planes).
  std::vector<int> planes;
  std::vector<Interval> still;

  const Interval& of(int node) const {
    if (node < 0 || !enclosures->touched(node)) return enclosures->moved(node);
    return limits[static_cast<std::size_t>(node)];
  }
};

/// Rows that need not go to the end of a backward pass.
struct Effort {
  VectorD enough;            ///< [rows]: a row whose limit has come to this may stop; used up
  std::vector<double> cost;  ///< multiplications and additions of a row, one a node
  double spent = 0;          ///< grows by what the pass took
};

/// The backward pass of theory, section 4, on any graph of affine layers, relu, leaky-relu, clip and
/// max-pool: linear functions of a node's outputs go back to what no change of the set can touch, added up
/// where a node has several readers. Wherever a single node is left between, its limits give a lower limit as
/// well, and the best of them counts. Dense layers and shared kernels (SharedKernel) take every kind of
/// threat set. Const functions may run in parallel.
class GraphBackward {
 public:
  explicit GraphBackward(const BoxProblem& problem);

  /// Limits as the enclosures, of all nodes, have them. They must outlive the cases.
  GraphCases cases(const Enclosures& enclosures) const;
  /// Lower limits of `coefficients` [rows x units] on the outputs of `node`, for images `at`: [rows], rounded
  /// outward. Rows of one image are best kept together.
  VectorD minimum(int node, MatrixD coefficients, std::vector<Index> at, const GraphCases& cases,
                  Effort* effort = nullptr) const;
  /// The same with bands of the rows' own. `trace` may be null.
  VectorD minimum(int node, MatrixD coefficients, std::vector<Index> at, const GraphCases& cases,
                  const RowBands& bands, GraphTrace* trace) const;
  /// The point at which the relaxed problem of a traced pass from `node` attains its minimum: outputs of the
  /// image, then of every node that the pass came to, [rows x units]. The derivative of minimum() by a
  /// coefficient on an output is that output; by the slope of a free line, the coefficient's positive part
  /// (below; above: its negative part) times what the activation reads there less the pivot. Behind
  /// GraphTrace::closed it is the derivative of that end's value, before it that of the last end's. No care
  /// for rounding; what k changed weights and flips take is left out.
  std::vector<MatrixD> minimiser(int node, const GraphTrace& trace, const std::vector<Index>& at,
                                 const GraphCases& cases, const RowBands& bands) const;
  /// The largest lower limits that `search.steps` choices of the free slopes give for each row; the first is
  /// the cases' own. Rows run in parallel; the result does not depend on the threads.
  VectorD best_minimum(int node, const MatrixD& coefficients, const std::vector<Index>& at,
                       const GraphCases& cases, const SlopeSearch& search) const;
  /// From node to node: limits that follow from those before, and, for units that an activation relaxes,
  /// those of this pass, until an image's passes have cost `work` multiplications and additions. Each unit is
  /// first bounded on the sides on which a kink is within its limits, those that reach furthest past it
  /// first, by rows that stop where they get past it; then on the other sides where it stays open.
  void tighten(GraphCases& cases, double work) const;
  /// The same, and slopes are sought for each side of the units that stay open, for as much work again. Of
  /// limits that tighten() has tightened before.
  void tighten_with_slopes(GraphCases& cases, double work, const SlopeSearch& search) const;

 private:
  class Pass;
  class Point;

  const Network::Node& node(int k) const { return network_.nodes()[static_cast<std::size_t>(k)]; }
  const Shape& input_shape(int k) const;
  const Radius* box_of(int k) const;
  bool inputs_touched(int k, const Enclosures& enclosures) const;
  bool may_tighten(int k, const GraphCases& cases) const;
  void refresh(int k, GraphCases& cases) const;
  void measure(int k, GraphCases& cases) const;
  void find_plane(int k, GraphCases& cases) const;
  void draw(int k, GraphCases& cases) const;
  struct Side;
  void tighten_units(int k, std::vector<double>& work, GraphCases& cases) const;
  void tighten_sides(int k, Index n, const std::vector<Side>& sides, double& work, Effort& effort,
                     GraphCases& cases) const;
  std::vector<double> costs(int k) const;
  bool look(int k, Index n, Side& side, const GraphCases& cases) const;
  std::vector<Side> near_sides(int k, Index n, const GraphCases& cases) const;
  void narrow(int k, Index n, const Side& side, double limit, GraphCases& cases) const;
  /// best_minimum() of a chunk of rows.
  VectorD best_rows(int from, const MatrixD& coefficients, const std::vector<Index>& at,
                    const GraphCases& cases, const SlopeSearch& search) const;

  const Network& network_;
  std::vector<std::optional<Radius>> radius_;
  Moves moves_;
  std::vector<std::optional<SharedKernel>> kernels_;                      ///< one a node
  std::vector<std::optional<Radius>> alone_;                              ///< box that positions do not share
  std::vector<std::vector<std::shared_ptr<const NormAdversary>>> balls_;  ///< one list a node
  std::vector<std::vector<double>> kinks_;  ///< one list a node: of the activations that read it
  Index rows_ = 1;                          ///< carried backward at once
  Index slope_rows_ = 1;                    ///< of one task that seeks slopes
  double gamma_ = 0;
};

/// Why the pass does not apply to the graph; "" when it does.
std::string refuses_graph(const Network& network);

}  // namespace temblor
