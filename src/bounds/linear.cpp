#include <algorithm>

#include <temblor/bounds/backward.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// Rows of margins carried backward at once.
constexpr Index row_chunk = 2048;

// Upper limits on the pair margins of the unperturbed network (lower limits, negated, for a rise): what a
// drop starts from.
MatrixD margins_before(const BoxProblem& problem, const Enclosures& enclosures, Index first, Index count) {
  const auto& node = problem.network.nodes().back();
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

MatrixD linear_drops(const BoxProblem& problem, const Backward& backward, Index first, Index count) {
  const Network& network = problem.network;
  const int last = static_cast<int>(network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  MatrixD value = interval_drops(problem, enclosures, first, count);
  if (backward.hidden() == 0) return value;

  Cases cases = backward.cases(network, enclosures);
  for (std::size_t m = 1; m < backward.hidden(); ++m) backward.tighten(m, cases);
  const MatrixD before = margins_before(problem, enclosures, first, count);
  const Index classes = network.classes();
  const double sign = problem.rise ? -1 : 1;
  const Index chunk = std::max<Index>(1, row_chunk / (classes - 1));
  for (Index begin = 0; begin < count; begin += chunk) {
    const Index images = std::min(chunk, count - begin);
    MatrixD logits = MatrixD::Zero(images * (classes - 1), classes);
    std::vector<Index> at(static_cast<std::size_t>(logits.rows()));
    std::vector<Index> pair(at.size());
    Index row = 0;
    for (Index n = begin; n < begin + images; ++n) {
      const auto y = problem.data.labels[static_cast<std::size_t>(first + n)];
      for (Index j = 0; j < classes; ++j) {
        if (j == y) continue;
        logits(row, y) = sign;
        logits(row, j) = -sign;
        at[static_cast<std::size_t>(row)] = n;
        pair[static_cast<std::size_t>(row)] = j;
        ++row;
      }
    }
    Forms forms = backward.logit_forms(logits, at, cases);
    const VectorD low = backward.minimum(forms, backward.hidden() - 1, cases);
    for (row = 0; row < low.size(); ++row) {
      const Index n = at[static_cast<std::size_t>(row)];
      const Index j = pair[static_cast<std::size_t>(row)];
      value(n, j) = std::min(value(n, j), (before(n, j) - low(row)) * (1 + 0x1p-51));
    }
  }
  return value;
}

BlockBound linear_blocks(const BoxProblem& problem) {
  return [backward = std::make_shared<const Backward>(problem)](const BoxProblem& own, Index first,
                                                                Index count) {
    return linear_drops(own, *backward, first, count);
  };
}

}  // namespace

BoundValues linear_bound(const BoundContext& context) {
  return box_bound(context, BoundMaker(linear_blocks));
}

std::string refuses_linear(const Network& network, const ThreatSet& set) {
  if (auto why = refuses_box(network, set); !why.empty()) return why;
  if (auto why = refuses_chain(network); !why.empty()) return why;
  for (const auto& node : network.nodes()) {
    if (node.layer->elementwise() && node.layer->kind() != "relu") {
      return "activation '" + node.name + "' (" + std::string(node.layer->kind()) + ") is not a ReLU";
    }
  }
  return {};
}

}  // namespace temblor
