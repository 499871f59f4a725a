#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/pairs.hpp>
#include <temblor/bounds/slopes.hpp>

namespace temblor {
namespace {

MatrixD alpha_drops(const BoxProblem& problem, const ChainPasses& passes, const SlopeSearch& search,
                    Index first, Index count) {
  MatrixD value = passes.drops(problem, Hidden::backward, first, count);
  const Backward& backward = passes.backward();
  // Without lines there are no slopes.
  if (backward.hidden() < 2) return value;

  const int last = static_cast<int>(problem.network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  Cases cases = backward.cases(problem.network, enclosures);
  for (std::size_t m = 1; m < backward.hidden(); ++m) tighten_with_slopes(backward, m, cases, search);
  const PairRows rows = pair_rows(problem, first, 0, count);
  const Forms forms = backward.logit_forms(rows.logits, rows.at, cases);
  const VectorD low = best_minimum(backward, forms, backward.hidden() - 1, cases, search);
  take_smaller_drops(rows, margins_before(problem, enclosures, first, count), low, value);
  return value;
}

MatrixD alpha_graph_drops(const BoxProblem& problem, const GraphBackward& backward, const SlopeSearch& search,
                          double work, Index first, Index count) {
  GraphDrops drops(problem, backward, work, first, count);
  const int last = static_cast<int>(problem.network.nodes().size()) - 1;
  drops.take(backward.best_minimum(last, drops.rows.logits, drops.rows.at, drops.cases, search));
  // There are thousands of hidden limits; the first steps gain most.
  backward.tighten_with_slopes(drops.cases, work, {(search.steps + 2) / 3});
  drops.take(backward.best_minimum(last, drops.rows.logits, drops.rows.at, drops.cases, search));
  return drops.value;
}

}  // namespace

std::vector<ParamSpec> linear_alpha_params() {
  std::vector<ParamSpec> params = {{"steps", ParamType::integer, "30",
                                    "backward passes for each row; 1 leaves the slopes as they are", "", 1,
                                    100000}};
  for (ParamSpec& work : linear_params()) params.push_back(std::move(work));
  return params;
}

BoundValues linear_alpha_bound(const BoundContext& context) {
  const SlopeSearch search{static_cast<int>(context.params.integer("steps"))};
  if (!dense_chain(context.network)) {
    const double work = context.params.real("work");
    return box_bound(context, layer_by_layer([search, work](const BoxProblem& problem) -> BlockBound {
                       return [search, work, backward = std::make_shared<const GraphBackward>(problem)](
                                  const BoxProblem& own, Index first, Index count) {
                         return alpha_graph_drops(own, *backward, search, work, first, count);
                       };
                     }));
  }
  return box_bound(context, layer_by_layer([search](const BoxProblem& problem) -> BlockBound {
                     return [search, passes = std::make_shared<const ChainPasses>(problem)](
                                const BoxProblem& own, Index first, Index count) {
                       return alpha_drops(own, *passes, search, first, count);
                     };
                   }));
}

}  // namespace temblor
