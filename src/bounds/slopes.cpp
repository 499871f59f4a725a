#include "ascent.hpp"

#include <algorithm>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/bounds/slopes.hpp>

namespace temblor {
namespace {

/// Rows of one task: their matrices stay in the second-level cache.
constexpr Index row_chunk = 256;
constexpr Index unit_chunk = 8192;  ///< unit rows whose forms exist at once

Forms some_rows(const Forms& forms, const std::vector<Index>& rows) {
  Forms part(static_cast<Index>(rows.size()), forms.v.cols());
  part.v = forms.v(rows, Eigen::all);
  part.constant = forms.constant(rows);
  part.size = forms.size(rows);
  for (std::size_t i = 0; i < rows.size(); ++i) part.at[i] = forms.at[static_cast<std::size_t>(rows[i])];
  if (forms.losses.empty()) return part;
  for (const Index row : rows) part.losses.push_back(forms.losses[static_cast<std::size_t>(row)]);
  return part;
}

// Whether a slope of this case is free.
bool any_open(const Cases& cases, std::size_t layer, Index n) {
  for (std::size_t m = 1; m <= layer; ++m) {
    const auto& limits = cases.limits[m];
    if (((limits.lower.row(n).array() < 0) && (limits.upper.row(n).array() > 0)).any()) return true;
  }
  return false;
}

VectorD ascend(const Backward& backward, const Forms& start, std::size_t layer, const Cases& cases,
               const SlopeSearch& search) {
  RowChoices choices;
  choices.below.resize(layer + 1);
  std::vector<Moments> moments;
  for (std::size_t m = 1; m <= layer; ++m) {
    const auto& limits = cases.limits[m];
    choices.below[m] = cases.lines[m].below(start.at, Eigen::all);
    const MatrixD lower = limits.lower(start.at, Eigen::all);
    const MatrixD upper = limits.upper(start.at, Eigen::all);
    moments.emplace_back(((lower.array() < 0) && (upper.array() > 0)).cast<double>().matrix());
  }
  Trace trace;
  Forms forms;
  const auto value = [&] {
    forms = start;
    return backward.minimum(forms, layer, cases, &choices, &trace);
  };
  const auto climb = [&](double rate, int step) {
    const auto p = backward.minimiser(trace, start.at, cases, &choices);
    for (std::size_t m = 1; m <= layer; ++m)
      moments[m - 1].step(trace.v[m].cwiseMax(0.0).cwiseProduct(p[m]), rate, step, choices.below[m]);
  };
  return ascend(start.rows(), search, value, climb);
}

}  // namespace

VectorD best_minimum(const Backward& backward, const Forms& start, std::size_t layer, const Cases& cases,
                     const SlopeSearch& search) {
  std::vector<Index> open, settled;
  for (Index row = 0; row < start.rows(); ++row) {
    (any_open(cases, layer, start.at[static_cast<std::size_t>(row)]) ? open : settled).push_back(row);
  }
  VectorD best(start.rows());
  if (!settled.empty()) {
    Forms forms = some_rows(start, settled);
    best(settled) = backward.minimum(forms, layer, cases);
  }
  const auto total = static_cast<Index>(open.size());
  const Index chunks = (total + row_chunk - 1) / row_chunk;
  // A thread that waits for these chunks must not begin another block of images meanwhile.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(Index{0}, chunks, [&](Index c) {
      const std::vector<Index> rows(open.begin() + c * row_chunk,
                                    open.begin() + std::min(total, (c + 1) * row_chunk));
      best(rows) = ascend(backward, some_rows(start, rows), layer, cases, search);
    });
  });
  return best;
}

void tighten_with_slopes(const Backward& backward, std::size_t m, Cases& cases, const SlopeSearch& search) {
  if (backward.interval_exact(m)) return;
  const auto rows = backward.open_units(m, cases);
  for (std::size_t begin = 0; begin < rows.size(); begin += unit_chunk) {
    const std::size_t end = std::min(rows.size(), begin + unit_chunk);
    const std::vector<UnitRow> chunk(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                     rows.begin() + static_cast<std::ptrdiff_t>(end));
    const VectorD low = best_minimum(backward, backward.unit_forms(m, chunk, cases), m - 1, cases, search);
    for (std::size_t i = 0; i < chunk.size(); ++i) cases.narrow(m, chunk[i], low(static_cast<Index>(i)));
  }
  cases.draw(m);
}

}  // namespace temblor
