#include <cmath>

#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

Interval gather(const Interval& from, const std::vector<Index>& rows) {
  return {from.lower(rows, Eigen::all), from.upper(rows, Eigen::all)};
}

MatrixD merged_rows(const BoxProblem& problem, Index first, Index count) {
  const int last = static_cast<int>(problem.network.nodes().size()) - 1;
  return interval_drops(problem, Enclosures(problem, first, count, last), first, count);
}

MatrixD logit_differences(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count) {
  const int nodes = static_cast<int>(problem.network.nodes().size());
  const auto& before = enclosures.nominal(nodes - 1);
  const auto& after = enclosures.moved(nodes - 1);
  MatrixD value(count, problem.network.classes());
  for (Index n = 0; n < count; ++n) {
    const auto y = problem.data.labels[static_cast<std::size_t>(first + n)];
    for (Index j = 0; j < value.cols(); ++j) {
      const double own =
          problem.rise ? after.upper(n, y) - before.lower(n, y) : before.upper(n, y) - after.lower(n, y);
      const double other =
          problem.rise ? before.upper(n, j) - after.lower(n, j) : after.upper(n, j) - before.lower(n, j);
      value(n, j) = (own + other) * (1.0 + 0x1p-50);
    }
  }
  return value;
}

bool ends_dense(const Network& network) {
  return network.nodes().back().layer->kind() == "dense";
}

MatrixD from_logits(const BoxProblem& problem, Index first, Index count) {
  const int nodes = static_cast<int>(problem.network.nodes().size());
  return logit_differences(problem, Enclosures(problem, first, count, nodes), first, count);
}

MatrixD unperturbed_margins(const BoxProblem& problem, Index first, Index count) {
  const int nodes = static_cast<int>(problem.network.nodes().size());
  const Enclosures enclosures(problem, first, count, nodes);
  const auto& logits = enclosures.nominal(nodes - 1);
  MatrixD margins(count, problem.network.classes());
  for (Index n = 0; n < count; ++n) {
    const auto y = problem.data.labels[static_cast<std::size_t>(first + n)];
    for (Index j = 0; j < margins.cols(); ++j) {
      const double margin = logits.lower(n, y) - logits.upper(n, j);
      margins(n, j) = margin - 0x1p-52 * std::abs(margin);
    }
  }
  return margins;
}

}  // namespace

MatrixD exact_margins(const Network& network, const Dataset& data) {
  const std::vector<std::optional<Radius>> none(static_cast<std::size_t>(network.layers()));
  return over_blocks({network, data, none}, unperturbed_margins);
}

MatrixD interval_drops(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count) {
  const auto& network = problem.network;
  const auto& node = network.nodes().back();
  const auto& weights = network.weights(node.weights);
  const auto& box = problem.radius[static_cast<std::size_t>(node.weights)];
  const Radius* radius = box && !box->zero() ? &*box : nullptr;

  MatrixD value(count, network.classes());
  const auto by_label = rows_by_label(problem.data, first, count);
  Interval before, after;
  for (std::size_t y = 0; y < by_label.size(); ++y) {
    if (by_label[y].empty()) continue;
    const auto rows = margin_rows(weights, radius, static_cast<std::int32_t>(y));
    affine_interval(rows.weight, rows.bias, nullptr,
                    gather(enclosures.nominal(node.inputs.front()), by_label[y]), before);
    affine_interval(rows.weight, rows.bias, radius == nullptr ? nullptr : &rows.radius,
                    gather(enclosures.moved(node.inputs.front()), by_label[y]), after);
    MatrixD change = problem.rise ? MatrixD(after.upper - before.lower) : MatrixD(before.upper - after.lower);
    if (problem.moves.touch(node.weights)) {
      const MatrixD size = magnitude(gather(enclosures.moved(node.inputs.front()), by_label[y]));
      const auto label = static_cast<Index>(y);
      change += balls_on_margins(problem.moves, node.weights, label, size, network.classes()) +
                budget_on_margins(problem.moves, node.weights, label, size, network.classes());
    }
    value(by_label[y], Eigen::all) = change * (1.0 + 0x1p-51);
  }
  return value;
}

MatrixD enclosed_drops(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count) {
  return ends_dense(problem.network) ? interval_drops(problem, enclosures, first, count)
                                     : logit_differences(problem, enclosures, first, count);
}

BoundValues interval_bound(const BoundContext& context) {
  return box_bound(context, ends_dense(context.network) ? merged_rows : from_logits);
}

}  // namespace temblor
