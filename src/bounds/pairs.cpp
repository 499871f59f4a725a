#include <algorithm>
#include <cmath>

#include <temblor/bounds/pairs.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {

PairRows pair_rows(const BoxProblem& problem, Index first, Index begin, Index count) {
  const Index classes = problem.network.classes();
  const Index total = count * (classes - 1);
  const double sign = problem.rise ? -1 : 1;
  PairRows rows{MatrixD::Zero(total, classes), {}, {}};
  rows.at.reserve(static_cast<std::size_t>(total));
  rows.other.reserve(static_cast<std::size_t>(total));
  for (Index n = begin; n < begin + count; ++n) {
    const Index y = problem.data.labels[static_cast<std::size_t>(first + n)];
    for (Index j = 0; j < classes; ++j) {
      if (j == y) continue;
      const auto row = static_cast<Index>(rows.at.size());
      rows.logits(row, y) = sign;
      rows.logits(row, j) = -sign;
      rows.at.push_back(n);
      rows.other.push_back(j);
    }
  }
  return rows;
}

MatrixD margins_before(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count) {
  const auto& node = problem.network.nodes().back();
  if (node.layer->kind() != "dense") {
    const Interval& logits = enclosures.nominal(static_cast<int>(problem.network.nodes().size()) - 1);
    MatrixD before(count, problem.network.classes());
    for (Index n = 0; n < count; ++n) {
      const Index y = problem.data.labels[static_cast<std::size_t>(first + n)];
      for (Index j = 0; j < before.cols(); ++j) {
        const double margin =
            problem.rise ? logits.upper(n, j) - logits.lower(n, y) : logits.upper(n, y) - logits.lower(n, j);
        before(n, j) = margin + 0x1p-52 * std::abs(margin);
      }
    }
    return before;
  }
  const Interval& inputs = enclosures.nominal(node.inputs.front());
  const auto by_label = rows_by_label(problem.data, first, count);
  MatrixD before(count, problem.network.classes());
  for (std::size_t y = 0; y < by_label.size(); ++y) {
    if (by_label[y].empty()) continue;
    const auto rows =
        margin_rows(problem.network.weights(node.weights), nullptr, static_cast<std::int32_t>(y));
    Interval margin;
    affine_interval(rows.weight, rows.bias, nullptr,
                    {inputs.lower(by_label[y], Eigen::all), inputs.upper(by_label[y], Eigen::all)}, margin);
    before(by_label[y], Eigen::all) = problem.rise ? MatrixD(-margin.lower) : margin.upper;
  }
  return before;
}

void take_smaller_drops(const PairRows& rows, const MatrixD& before, const VectorD& low, MatrixD& value) {
  for (Index row = 0; row < low.size(); ++row) {
    const Index n = rows.at[static_cast<std::size_t>(row)];
    const Index j = rows.other[static_cast<std::size_t>(row)];
    value(n, j) = std::min(value(n, j), (before(n, j) - low(row)) * (1 + 0x1p-51));
  }
}

}  // namespace temblor
