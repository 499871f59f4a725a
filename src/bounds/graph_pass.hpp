#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/bounds/graph_backward.hpp>

namespace temblor {

/// sigma, tau with abs(z) <= sigma z + tau on limits of z, [cases x inputs].
inline void chords(const Interval& z, MatrixD& slope, MatrixD& height) {
  slope = MatrixD::Ones(z.lower.rows(), z.lower.cols());
  height = MatrixD::Zero(z.lower.rows(), z.lower.cols());
  for (Index i = 0; i < slope.size(); ++i) {
    const double l = z.lower.data()[i];
    const double u = z.upper.data()[i];
    if (l >= 0) continue;
    const double own = u <= 0 ? -1 : (u + l) / (u - l);
    slope.data()[i] = own;
    height.data()[i] = std::max({0.0, -l * (1 + own), u * (1 - own)}) * (1 + 0x1p-49);
  }
}

inline MatrixD radius_product(const MatrixD& size, const Radius& radius, Index inputs) {
  if (radius.weight.size() > 0) return size * radius.weight;
  return (radius.uniform * size.rowwise().sum()).replicate(1, inputs);
}

/// Rows on their way back.
class GraphBackward::Pass {
 public:
  Pass(const GraphBackward& graph, const GraphCases& cases, std::vector<Index> at, Effort* effort,
       const RowBands* bands = nullptr, GraphTrace* trace = nullptr)
      : graph_(graph),
        cases_(cases),
        open_(graph.network_.nodes().size() + 1),
        at_(std::move(at)),
        effort_(effort),
        bands_(bands),
        trace_(trace),
        constant_(VectorD::Zero(rows())),
        size_(constant_),
        best_(VectorD::Constant(rows(), -std::numeric_limits<double>::infinity())),
        result_(best_) {
    for (Index row = 0; row < rows(); ++row) row_.push_back(row);
    if (graph.moves_.budget.zero()) return;
    losses_.resize(at_.size(), Largest(graph.moves_.budget.count));
    spent_ = losses_;
    gaps_.resize(graph.network_.nodes().size());
  }

  VectorD run(int from, MatrixD coefficients) {
    at(from) = std::move(coefficients);
    if (trace_ != nullptr) {
      trace_->coefficients.assign(open_.size(), {});
      trace_->closed.assign(at_.size(), -2);
    }
    for (int k = from; k >= -1; --k) {
      if (at(k).size() == 0) continue;
      const MatrixD a = std::move(at(k));
      at(k).resize(0, 0);
      if (!cases_.enclosures->touched(k) || k < 0) {
        settle(a, cases_.of(k));
      } else {
        if (effort_ != nullptr)
          effort_->spent += static_cast<double>(rows()) * effort_->cost[static_cast<std::size_t>(k)];
        step(k, a);
        close_at_last(k);
        if (effort_ != nullptr) retire();
        if (rows() == 0) return result_;
      }
      if (trace_ != nullptr) trace_->coefficients[static_cast<std::size_t>(k + 1)] = a;
    }
    note(constant_, size_, -2);
    result_(row_) = best_;
    return result_;
  }

 private:
  /// What products below the normal range may lose.
  static constexpr double underflow = 1e-300;

  Index rows() const { return static_cast<Index>(at_.size()); }
  MatrixD& at(int k) { return open_[static_cast<std::size_t>(k + 1)]; }
  MatrixD& opened(int k) {
    MatrixD& to = at(k);
    if (to.size() == 0) {
      const Index units = k < 0 ? graph_.network_.input().size() : graph_.node(k).shape.size();
      to = MatrixD::Zero(rows(), units);
    }
    return to;
  }
  Index image(Index row) const { return at_[static_cast<std::size_t>(row)]; }
  static const MatrixD& of(const std::vector<MatrixD>& nodes, int k) {
    return nodes[static_cast<std::size_t>(k)];
  }

  /// abs(a) . magnitudes, a row each.
  VectorD sizes(const MatrixD& a, const MatrixD& magnitudes) const {
    VectorD result(rows());
    for (Index row = 0; row < rows(); ++row)
      result(row) = a.row(row).cwiseAbs().dot(magnitudes.row(image(row)));
    return result;
  }

  /// The least that `a` can be on limits, with its size.
  void least(const MatrixD& a, const Interval& limits, VectorD& value, VectorD& size) const {
    value.resize(rows());
    size.resize(rows());
    for (Index row = 0; row < rows(); ++row) {
      const auto own = a.row(row).array();
      const auto l = limits.lower.row(image(row)).array();
      const auto u = limits.upper.row(image(row)).array();
      value(row) = (own.max(0.0) * l + own.min(0.0) * u).sum();
      size(row) = (own.abs() * l.abs().max(u.abs())).sum();
    }
  }

  void settle(const MatrixD& a, const Interval& limits) {
    VectorD value, size;
    least(a, limits, value, size);
    constant_ += value;
    size_ += size;
  }

  /// `node`: where the pass would end; -2: at the last.
  void note(const VectorD& value, const VectorD& size, int node) {
    for (Index row = 0; row < rows(); ++row) {
      double low = value(row) - graph_.gamma_ * (size(row) + std::abs(value(row))) - underflow;
      if (!losses_.empty()) {
        const auto i = static_cast<std::size_t>(row);
        low -= (losses_[i].sum() + spent_[i].sum()) * (1 + graph_.gamma_);
      }
      if (!(low > best_(row))) continue;
      best_(row) = low;
      if (trace_ != nullptr) trace_->closed[static_cast<std::size_t>(row)] = node;
    }
  }

  /// Leaves out the rows that are known well enough, once they are a quarter of all.
  void retire() {
    std::vector<Index> left;
    for (Index row = 0; row < rows(); ++row)
      if (!(best_(row) >= effort_->enough(row))) left.push_back(row);
    if (4 * static_cast<Index>(left.size()) > 3 * rows()) return;
    result_(row_) = best_;
    const auto keep = [&](auto& values) { values = values(left, Eigen::all).eval(); };
    for (MatrixD& open : open_)
      if (open.size() > 0) keep(open);
    for (VectorD* values : {&constant_, &size_, &best_, &effort_->enough}) keep(*values);
    const auto select = [&](auto& list) {
      std::size_t to = 0;
      for (const Index row : left) list[to++] = std::move(list[static_cast<std::size_t>(row)]);
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(to), list.end());
    };
    select(at_);
    select(row_);
    if (losses_.empty()) return;
    select(losses_);
    select(spent_);
    for (MatrixD& gaps : gaps_)
      if (gaps.size() > 0) keep(gaps);
  }

  /// Where one node before k is all that is left.
  void close_at_last(int k) {
    int last = -2;
    for (int j = k - 1; j >= -1; --j) {
      if (at(j).size() == 0) continue;
      if (last != -2) return;
      last = j;
    }
    if (last < 0 || !cases_.enclosures->touched(last)) return;
    VectorD value, size;
    least(at(last), cases_.of(last), value, size);
    note(constant_ + value, size_ + size, last);
  }

  void take(const MatrixD& a, const MatrixD& most) {
    const VectorD loss = sizes(a, most);
    constant_ -= loss;
    size_ += loss;
  }

  void step(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    size_ += sizes(a, of(cases_.size, k));
    if (of(cases_.rounding, k).size() > 0) take(a, of(cases_.rounding, k));
    give_back(k);
    const auto index = static_cast<std::size_t>(k);
    if (has_band(*node.layer)) {
      relax(a, k, node.inputs.front());
    } else if (node.weights < 0) {
      pull(a, node, nullptr);
    } else if (!graph_.inputs_touched(k, *cases_.enclosures)) {
      end(k, a);
    } else if (graph_.kernels_[index]) {
      Forms next = forms(opened(node.inputs.front()));
      graph_.kernels_[index]->take(a, cases_.of(node.inputs.front()), graph_.moves_.allowance(node.weights),
                                   next, losses_);
      collect(next, node.inputs.front());
    } else if (node.layer->kind() == "dense") {
      dense(k, a);
    } else {
      pull(a, node, &graph_.network_.weights(node.weights));
    }
  }

  void relax(const MatrixD& a, int k, int input) {
    const Band& shared = cases_.bands[static_cast<std::size_t>(k)];
    const bool own = bands_ != nullptr && (*bands_)[static_cast<std::size_t>(k)].below.size() > 0;
    const Band& band = own ? (*bands_)[static_cast<std::size_t>(k)] : shared;
    MatrixD& to = opened(input);
    for (Index row = 0; row < rows(); ++row) {
      const Index n = own ? row : image(row);
      const auto up = a.row(row).array().max(0.0);
      const auto down = a.row(row).array().min(0.0);
      const auto offset = up * band.below_offset.row(n).array() + down * band.above_offset.row(n).array();
      constant_(row) += offset.sum();
      size_(row) += offset.abs().sum();
      const auto line = up * band.below.row(n).array() + down * band.above.row(n).array();
      if (!gaps_.empty()) add_gaps(k, row, a, line, offset);
      if (shared.cell.empty()) {
        to.row(row).array() += line;
        continue;
      }
      const Index* cells = shared.cell.data() + image(row) * a.cols();
      for (Index i = 0; i < a.cols(); ++i) to(row, cells[i]) += line(i);
    }
  }

  /// By how much the lines of node k at least stay below the values of channels on which nothing of the
  /// budget is spent: never less than 0, as they enclose.
  template <class Lines, class Offsets>
  void add_gaps(int k, Index row, const MatrixD& a, const Lines& line, const Offsets& offset) {
    const auto index = static_cast<std::size_t>(k);
    const int from = cases_.planes[index];
    if (from < 0) return;
    const Index n = image(row);
    const auto input = static_cast<std::size_t>(graph_.node(k).inputs.front());
    const auto& [low, high] = cases_.still[index];
    const auto& [low_in, high_in] = cases_.still[input];
    const auto& cells = cases_.bands[index].cell;
    const MatrixD& rounding = cases_.enclosures->rounding(k);
    const Index channels = graph_.network_.weights(graph_.node(from).weights).weight.rows();
    const auto kinks = kinks_of(*graph_.node(k).layer);
    MatrixD& gaps = gaps_[static_cast<std::size_t>(from)];
    if (gaps.size() == 0) gaps = MatrixD::Zero(rows(), channels);
    const Index plane = a.cols() / channels;
    for (Index i = 0; i < a.cols(); ++i) {
      const double own = a(row, i);
      if (own == 0) continue;
      const double slope = line(i);
      double gap = 0;
      if (cells.empty()) {
        // Linear between its kinks, which it maps to themselves.
        const double error = rounding.size() == 0 ? 0 : rounding(n, i);
        const double l = low_in(n, i);
        const double u = high_in(n, i);
        gap = std::min(own * (low(n, i) + error) - slope * l, own * (high(n, i) - error) - slope * u);
        for (const double kink : kinks)
          if (l < kink && kink < u) gap = std::min(gap, (own - slope) * kink);
        gap -= std::abs(own) * error;
      } else {
        const Index cell = cells[static_cast<std::size_t>(n * a.cols() + i)];
        gap = own * (own > 0 ? low(n, i) : high(n, i)) -
              slope * (slope > 0 ? high_in(n, cell) : low_in(n, cell));
      }
      gap -= offset(i);
      if (gap > 0) gaps(row, i / plane) += gap;
    }
  }

  /// Each change of the budget reaches one channel of one layer: all but the k largest gaps are not lost.
  void give_back(int k) {
    if (gaps_.empty() || of(gaps_, k).size() == 0) return;
    const MatrixD& gaps = of(gaps_, k);
    for (Index row = 0; row < rows(); ++row) {
      for (Index c = 0; c < gaps.cols(); ++c) {
        const double gap = gaps(row, c);
        if (gap == 0) continue;
        constant_(row) += gap;
        size_(row) += gap;
        spent_[static_cast<std::size_t>(row)].add(gap);
      }
    }
  }

  void pull(const MatrixD& a, const Network::Node& node, const Weights* weights) {
    std::vector<MatrixD*> inputs;
    for (const int input : node.inputs) inputs.push_back(&opened(input));
    node.layer->pull(a, weights, inputs, &constant_);
  }

  /// A layer with moving parameters on inputs that nothing touches.
  void end(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    const auto index = static_cast<std::size_t>(k);
    const int input = node.inputs.front();
    const Interval& inputs = cases_.enclosures->nominal(input);
    settle(a, cases_.enclosures->nominal(k));
    if (graph_.kernels_[index]) {
      const VectorD loss =
          graph_.kernels_[index]->loss_at(a, inputs, at_, graph_.moves_.allowance(node.weights), losses_);
      constant_ -= loss;
      size_ += loss;
      return;
    }
    if (of(cases_.reach, k).size() > 0) take(a, of(cases_.reach, k));
    if (!graph_.moves_.touch(node.weights)) return;
    const MatrixD largest = magnitude(inputs);
    const VectorD norm = size_of(largest, graph_.moves_.biases);
    for (const auto& ball : graph_.balls_[index]) {
      const VectorD weight = ball->weight(a);
      for (Index row = 0; row < rows(); ++row) {
        const double loss = weight(row) * norm(image(row));
        constant_(row) -= loss;
        size_(row) += loss;
      }
    }
    spend(node.weights, a, largest, (inputs.lower.array() >= 0).all());
  }

  void dense(int k, const MatrixD& a) {
    const auto& node = graph_.node(k);
    const int input = node.inputs.front();
    const Interval& z = cases_.of(input);
    const Weights& weights = graph_.network_.weights(node.weights);
    Forms next = forms(opened(input));
    MatrixD* to = &next.v;
    node.layer->pull(a, &weights, {&to, 1}, &next.constant);
    if (const Radius* box = graph_.box_of(k)) {
      const MatrixD size = a.cwiseAbs();
      const MatrixD most = radius_product(size, *box, weights.weight.cols());
      if ((z.lower.array() >= 0).all()) {
        next.v -= most;
      } else {
        MatrixD slope, height;
        chords(z, slope, height);
        for (Index row = 0; row < rows(); ++row) {
          next.v.row(row).array() -= most.row(row).array() * slope.row(image(row)).array();
          const double loss = most.row(row).dot(height.row(image(row)));
          next.constant(row) -= loss;
          next.size(row) += loss;
        }
      }
      VectorD slack;
      if (box->bias.size() > 0) slack = size * box->bias;
      if (box->bias.size() == 0) slack = box->bias_uniform * size.rowwise().sum();
      next.constant -= slack;
      next.size += slack;
    }
    for (const auto& ball : graph_.balls_[static_cast<std::size_t>(k)]) ball->take(a, &z, next);
    collect(next, input);
    if (graph_.moves_.touch(node.weights)) {
      spend(node.weights, a, magnitude(z), (z.lower.array() >= 0).all());
    }
  }

  void spend(int layer, const MatrixD& a, const MatrixD& largest, bool signs) {
    if (!losses_.empty()) budget_losses(graph_.moves_, layer, a, largest, signs, at_, losses_);
  }

  /// What a layer adds to, and takes its constants from.
  Forms forms(MatrixD& on_inputs) const {
    Forms next;
    next.v = std::move(on_inputs);
    next.constant = VectorD::Zero(rows());
    next.size = next.constant;
    next.at = at_;
    return next;
  }
  void collect(Forms& next, int input) {
    at(input) = std::move(next.v);
    constant_ += next.constant;
    size_ += next.size;
  }

  const GraphBackward& graph_;
  const GraphCases& cases_;
  std::vector<MatrixD> open_;  ///< of the image, then of every node: coefficients on its outputs
  std::vector<Index> at_;
  Effort* effort_;         ///< null: every row goes to the end
  const RowBands* bands_;  ///< null: those of the cases
  GraphTrace* trace_;      ///< null: not wanted; never together with an effort
  VectorD constant_;
  VectorD size_;
  VectorD best_;
  VectorD result_;          ///< of all rows
  std::vector<Index> row_;  ///< of the result: those that are still on their way
  std::vector<Largest> losses_;
  std::vector<Largest> spent_;  ///< the gaps of lines that the budget does not close
  std::vector<MatrixD> gaps_;   ///< by node of a layer that a budget reaches: [rows x channels], or empty
};

}  // namespace temblor
