#pragma once

#include "graph_pass.hpp"

namespace temblor {

/// The minimiser of a traced pass: from the first node to the last, the outputs that the lines and the worst
/// parameters for its coefficients give.
class GraphBackward::Point {
 public:
  Point(const GraphBackward& graph, const GraphCases& cases, const GraphTrace& trace,
        const std::vector<Index>& at, const RowBands& bands)
      : graph_(graph),
        cases_(cases),
        trace_(trace),
        at_(at),
        bands_(bands),
        outputs_(trace.coefficients.size()) {}

  std::vector<MatrixD> run(int from) {
    for (int k = -1; k <= from; ++k) {
      const MatrixD& a = coefficients(k);
      if (a.size() == 0) continue;
      MatrixD& p = outputs_[static_cast<std::size_t>(k + 1)];
      if (k < 0 || !cases_.enclosures->touched(k)) {
        p = ends(a, cases_.of(k));
        continue;
      }
      p = step(k, a);
      const MatrixD& rounding = cases_.rounding[static_cast<std::size_t>(k)];
      if (rounding.size() > 0) p.array() -= a.array().sign() * rounding(at_, Eigen::all).array();
      for (Index row = 0; row < p.rows(); ++row)
        if (trace_.closed[static_cast<std::size_t>(row)] == k) end_row(a, cases_.of(k), row, p);
    }
    return std::move(outputs_);
  }

 private:
  const MatrixD& coefficients(int k) const { return trace_.coefficients[static_cast<std::size_t>(k + 1)]; }
  const MatrixD& input(const Network::Node& node) const {
    return outputs_[static_cast<std::size_t>(node.inputs.front() + 1)];
  }

  /// The end of the limits that lowers a.
  void end_row(const MatrixD& a, const Interval& limits, Index row, MatrixD& p) const {
    const Index n = at_[static_cast<std::size_t>(row)];
    p.row(row) = (a.row(row).array() > 0).select(limits.lower.row(n).array(), limits.upper.row(n).array());
  }
  MatrixD ends(const MatrixD& a, const Interval& limits) const {
    MatrixD p(a.rows(), a.cols());
    for (Index row = 0; row < p.rows(); ++row) end_row(a, limits, row, p);
    return p;
  }

  MatrixD step(int k, const MatrixD& a) const {
    const auto& node = graph_.node(k);
    const auto index = static_cast<std::size_t>(k);
    if (has_band(*node.layer)) return lines(k, a, input(node));
    if (node.weights < 0) return through(node);
    if (!graph_.inputs_touched(k, *cases_.enclosures)) return end(k, a);
    if (graph_.kernels_[index]) {
      MatrixD p;
      graph_.kernels_[index]->worst(a, input(node), cases_.of(node.inputs.front()), at_, p);
      return p;
    }
    return node.layer->kind() == "dense" ? dense(k, a) : through(node);
  }

  MatrixD lines(int k, const MatrixD& a, const MatrixD& p) const {
    const Band& shared = cases_.bands[static_cast<std::size_t>(k)];
    const bool own = bands_[static_cast<std::size_t>(k)].below.size() > 0;
    const Band& band = own ? bands_[static_cast<std::size_t>(k)] : shared;
    MatrixD z(a.rows(), a.cols());
    for (Index row = 0; row < a.rows(); ++row) {
      const Index image = at_[static_cast<std::size_t>(row)];
      const Index n = own ? row : image;
      for (Index i = 0; i < a.cols(); ++i) {
        const Index cell =
            shared.cell.empty() ? i : shared.cell[static_cast<std::size_t>(image * a.cols() + i)];
        z(row, i) = a(row, i) >= 0 ? band.below(n, i) * p(row, cell) + band.below_offset(n, i)
                                   : band.above(n, i) * p(row, cell) + band.above_offset(n, i);
      }
    }
    return z;
  }

  /// An affine layer whose parameters do not move.
  MatrixD through(const Network::Node& node) const {
    std::vector<Interval> points;
    std::vector<const Interval*> in;
    for (const int from : node.inputs) {
      const MatrixD& z = outputs_[static_cast<std::size_t>(from + 1)];
      points.push_back({z, z});
    }
    for (const Interval& point : points) in.push_back(&point);
    Interval out;
    node.layer->interval(in, node.weights < 0 ? nullptr : &graph_.network_.weights(node.weights), nullptr,
                         out);
    return 0.5 * (out.lower + out.upper);
  }

  /// As Pass::end.
  MatrixD end(int k, const MatrixD& a) const {
    const auto index = static_cast<std::size_t>(k);
    const Interval& inputs = cases_.enclosures->nominal(graph_.node(k).inputs.front());
    const MatrixD z = (0.5 * (inputs.lower + inputs.upper))(at_, Eigen::all);
    MatrixD p;
    if (graph_.kernels_[index]) {
      graph_.kernels_[index]->worst(a, z, inputs, at_, p);
    } else {
      p = ends(a, cases_.enclosures->nominal(k));
    }
    const MatrixD& reach = cases_.reach[index];
    if (reach.size() > 0) p.array() -= a.array().sign() * reach(at_, Eigen::all).array();
    for (const auto& ball : graph_.balls_[index]) ball->worst(a, z, &inputs, at_, p);
    return p;
  }

  MatrixD dense(int k, const MatrixD& a) const {
    const auto& node = graph_.node(k);
    const MatrixD& z = input(node);
    const Interval& limits = cases_.of(node.inputs.front());
    MatrixD p = through(node);
    if (const Radius* box = graph_.box_of(k)) {
      MatrixD slope, height;
      chords(limits, slope, height);
      const MatrixD size = slope(at_, Eigen::all).cwiseProduct(z) + height(at_, Eigen::all);
      MatrixD reach(p.rows(), p.cols());
      if (box->weight.size() > 0) {
        reach.noalias() = size * box->weight.transpose();
      } else {
        reach = (box->uniform * size.rowwise().sum()).replicate(1, p.cols());
      }
      if (box->bias.size() > 0) {
        reach.rowwise() += box->bias.transpose();
      } else {
        reach.array() += box->bias_uniform;
      }
      p.array() -= a.array().sign() * reach.array();
    }
    for (const auto& ball : graph_.balls_[static_cast<std::size_t>(k)]) ball->worst(a, z, &limits, at_, p);
    return p;
  }

  const GraphBackward& graph_;
  const GraphCases& cases_;
  const GraphTrace& trace_;
  const std::vector<Index>& at_;
  const RowBands& bands_;
  std::vector<MatrixD> outputs_;  ///< of the image, then of every node
};

}  // namespace temblor
