#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <temblor/bounds/adversary.hpp>
#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/shared_kernel.hpp>

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

/// What is known of a block of images, node by node.
struct GraphCases {
  const Enclosures* enclosures = nullptr;
  std::vector<Interval> limits;   ///< outputs of touched nodes; empty for others
  std::vector<MatrixD> size;      ///< magnitudes of all that goes into an output, the box's part included
  std::vector<MatrixD> reach;     ///< what the box adds where a dense node's inputs are not touched
  std::vector<MatrixD> rounding;  ///< what each output may be off by on its own (float32); empty: nothing
  std::vector<Band> bands;

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
/// well, and the best of them counts. Dense layers take every kind of threat set, shared kernels
/// (SharedKernel) boxes. Const functions may run in parallel.
class GraphBackward {
 public:
  explicit GraphBackward(const BoxProblem& problem);

  /// Limits as the enclosures, of all nodes, have them. They must outlive the cases.
  GraphCases cases(const Enclosures& enclosures) const;
  /// Lower limits of `coefficients` [rows x units] on the outputs of `node`, for images `at`: [rows], rounded
  /// outward. Rows of one image are best kept together.
  VectorD minimum(int node, MatrixD coefficients, std::vector<Index> at, const GraphCases& cases,
                  Effort* effort = nullptr) const;
  /// From node to node: limits that follow from those before, and, for units that an activation relaxes,
  /// those of this pass, until an image's passes have cost `work` multiplications and additions. Each unit is
  /// first bounded on the sides on which a kink is within its limits, those that reach furthest past it
  /// first, by rows that stop where they get past it; then on the other sides where it stays open.
  void tighten(GraphCases& cases, double work) const;

 private:
  class Pass;

  const Network::Node& node(int k) const { return network_.nodes()[static_cast<std::size_t>(k)]; }
  const Shape& input_shape(int k) const;
  const Radius* box_of(int k) const;
  bool inputs_touched(int k, const Enclosures& enclosures) const;
  void refresh(int k, GraphCases& cases) const;
  void measure(int k, GraphCases& cases) const;
  void draw(int k, GraphCases& cases) const;
  struct Side;
  void tighten_units(int k, std::vector<double>& work, GraphCases& cases) const;
  void tighten_sides(int k, Index n, const std::vector<Side>& sides, double& work, Effort& effort,
                     GraphCases& cases) const;
  std::vector<double> costs(int k) const;

  const Network& network_;
  std::vector<std::optional<Radius>> radius_;
  Moves moves_;
  std::vector<std::optional<SharedKernel>> kernels_;                      ///< one a node
  std::vector<std::optional<Radius>> alone_;                              ///< box that positions do not share
  std::vector<std::vector<std::shared_ptr<const NormAdversary>>> balls_;  ///< one list a node
  std::vector<std::vector<double>> kinks_;  ///< one list a node: of the activations that read it
  Index rows_ = 1;                          ///< carried backward at once
  double gamma_ = 0;
};

/// Why the pass does not apply to the graph; "" when it does.
std::string refuses_graph(const Network& network);

}  // namespace temblor
