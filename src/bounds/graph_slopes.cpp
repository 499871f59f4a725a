#include "ascent.hpp"
#include "graph_point.hpp"

#include <algorithm>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

namespace temblor {
namespace {

constexpr double ulp = 0x1p-52;

/// The free slopes of one side of an activation, [rows x units]: least + place (most - least).
class FreeSlopes {
 public:
  FreeSlopes(int node, const std::vector<const FreeLines*>& lines, bool below, const Band& band)
      : node_(node), below_(below), pivot_(lines.front()->pivot), value_(lines.front()->value) {
    const auto rows = static_cast<Index>(lines.size());
    least_.resize(rows, lines.front()->least.cols());
    range_.resize(rows, lines.front()->least.cols());
    for (Index row = 0; row < rows; ++row) {
      const FreeLines& own = *lines[static_cast<std::size_t>(row)];
      least_.row(row) = own.least;
      range_.row(row) = own.most - own.least;
    }
    const MatrixD& slope = below ? band.below : band.above;
    place_ = ((slope - least_).array() / range_.array().max(1e-300)).max(0.0).min(1.0).matrix();
    moments_.emplace_back((range_.array() > 0).cast<double>().matrix());
  }

  int node() const { return node_; }
  /// For coefficients a on the activation and inputs p.
  void climb(const MatrixD& a, const MatrixD& p, double rate, int step, Band& band) {
    const MatrixD part = (below_ ? 1.0 : -1.0) * ((below_ ? 1.0 : -1.0) * a).cwiseMax(0.0);
    moments_.front().step((part.array() * (p.array() - pivot_) * range_.array()).matrix(), rate, step,
                          place_);
    MatrixD& slope = below_ ? band.below : band.above;
    MatrixD& offset = below_ ? band.below_offset : band.above_offset;
    for (Index i = 0; i < place_.size(); ++i) {
      if (!(range_.data()[i] > 0)) continue;
      const double own = std::min(least_.data()[i] + place_.data()[i] * range_.data()[i], 1.0);
      slope.data()[i] = own;
      const double rounding = 4 * ulp * (std::abs(value_) + std::abs(own * pivot_));
      offset.data()[i] = value_ - own * pivot_ + (below_ ? -rounding : rounding);
    }
  }

 private:
  int node_;
  bool below_;
  double pivot_;
  double value_;
  MatrixD least_;
  MatrixD range_;
  MatrixD place_;
  std::vector<Moments> moments_;  ///< one
};

Band rows_of(const Band& band, const std::vector<Index>& at) {
  Band rows;
  rows.below = band.below(at, Eigen::all);
  rows.below_offset = band.below_offset(at, Eigen::all);
  rows.above = band.above(at, Eigen::all);
  rows.above_offset = band.above_offset(at, Eigen::all);
  return rows;
}

bool any_free(const FreeLines& lines) {
  return (lines.most.array() > lines.least.array()).any();
}

}  // namespace

VectorD GraphBackward::minimum(int node, MatrixD coefficients, std::vector<Index> at, const GraphCases& cases,
                               const RowBands& bands, GraphTrace* trace) const {
  return Pass(*this, cases, std::move(at), nullptr, &bands, trace).run(node, std::move(coefficients));
}

std::vector<MatrixD> GraphBackward::minimiser(int node, const GraphTrace& trace, const std::vector<Index>& at,
                                              const GraphCases& cases, const RowBands& bands) const {
  return Point(*this, cases, trace, at, bands).run(node);
}

VectorD GraphBackward::best_rows(int from, const MatrixD& coefficients, const std::vector<Index>& at,
                                 const GraphCases& cases, const SlopeSearch& search) const {
  RowBands bands(network_.nodes().size());
  std::vector<FreeSlopes> slopes;
  for (int k = 0; k < from; ++k) {
    const auto i = static_cast<std::size_t>(k);
    if (!cases.enclosures->touched(k) || kinks_of(*node(k).layer).empty()) continue;
    std::vector<std::optional<FreeBand>> images(static_cast<std::size_t>(cases.limits[i].lower.rows()));
    std::vector<const FreeLines*> below, above;
    bool free_below = false;
    bool free_above = false;
    for (const Index n : at) {
      auto& own = images[static_cast<std::size_t>(n)];
      if (!own) own = free_band(*node(k).layer, cases.of(node(k).inputs.front()), n);
      below.push_back(&own->below);
      above.push_back(&own->above);
      free_below = free_below || any_free(own->below);
      free_above = free_above || any_free(own->above);
    }
    if (!free_below && !free_above) continue;
    bands[i] = rows_of(cases.bands[i], at);
    if (free_below) slopes.emplace_back(k, below, true, bands[i]);
    if (free_above) slopes.emplace_back(k, above, false, bands[i]);
  }
  if (slopes.empty()) return minimum(from, coefficients, at, cases);
  GraphTrace trace;
  const auto value = [&] { return minimum(from, coefficients, at, cases, bands, &trace); };
  const auto climb = [&](double rate, int step) {
    const auto outputs = minimiser(from, trace, at, cases, bands);
    for (FreeSlopes& own : slopes) {
      const int k = own.node();
      const auto i = static_cast<std::size_t>(k);
      const MatrixD& a = trace.coefficients[i + 1];
      if (a.size() == 0) continue;
      const int input = node(k).inputs.front() + 1;
      own.climb(a, outputs[static_cast<std::size_t>(input)], rate, step, bands[i]);
    }
  };
  return ascend(coefficients.rows(), search, value, climb);
}

VectorD GraphBackward::best_minimum(int from, const MatrixD& coefficients, const std::vector<Index>& at,
                                    const GraphCases& cases, const SlopeSearch& search) const {
  const Index total = coefficients.rows();
  VectorD best(total);
  // A thread that waits for these chunks must not begin another block of images meanwhile.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, (total + slope_rows_ - 1) / slope_rows_, [&](Index c) {
      const Index begin = c * slope_rows_;
      const Index count = std::min(slope_rows_, total - begin);
      const auto first = at.begin() + static_cast<std::ptrdiff_t>(begin);
      best.segment(begin, count) =
          best_rows(from, coefficients.middleRows(begin, count),
                    {first, first + static_cast<std::ptrdiff_t>(count)}, cases, search);
    });
  });
  return best;
}

}  // namespace temblor
