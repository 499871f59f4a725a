#include <algorithm>
#include <limits>

#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>

namespace temblor {
namespace {

/// Rows of margins carried backward at once.
constexpr Index row_chunk = 2048;

MatrixD linear_drops(const BoxProblem& problem, const Backward& backward, Hidden hidden, Index first,
                     Index count) {
  const int last = static_cast<int>(problem.network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  MatrixD value = interval_drops(problem, enclosures, first, count);
  if (backward.hidden() == 0) return value;

  Cases cases = backward.cases(problem.network, enclosures);
  const MatrixD before = margins_before(problem, enclosures, first, count);
  const Index chunk = std::max<Index>(1, row_chunk / std::max<Index>(1, value.cols() - 1));
  const auto lower = [&] {
    for (Index begin = 0; begin < count; begin += chunk) {
      const PairRows rows = pair_rows(problem, first, begin, std::min(chunk, count - begin));
      Forms forms = backward.logit_forms(rows.logits, rows.at, cases);
      take_smaller_drops(rows, before, backward.minimum(forms, backward.hidden() - 1, cases), value);
    }
  };
  lower();
  if (hidden == Hidden::interval || backward.interval_exact(backward.hidden() - 1)) return value;
  // Tighter limits may turn a lower slope over and make a pair looser: both passes count.
  for (std::size_t m = 1; m < backward.hidden(); ++m) backward.tighten(m, cases);
  lower();
  return value;
}

BoundValues of_chain(const BoundContext& context, Hidden hidden, const EntryBox* entry) {
  const auto make = [hidden](const BoxProblem& problem) -> BlockBound {
    return [hidden, passes = std::make_shared<const ChainPasses>(problem)](const BoxProblem& own, Index first,
                                                                           Index count) {
      return passes->drops(own, hidden, first, count);
    };
  };
  return box_bound(context, layer_by_layer(make), entry);
}

BoundValues with_hidden(const BoundContext& context, Hidden hidden) {
  if (dense_chain(context.network)) return of_chain(context, hidden, nullptr);
  std::optional<double> work;
  if (hidden == Hidden::backward) work = context.params.real("work");
  return box_bound(context, layer_by_layer([work](const BoxProblem& problem) -> BlockBound {
                     return [work, backward = std::make_shared<const GraphBackward>(problem)](
                                const BoxProblem& own, Index first, Index count) {
                       return GraphDrops(own, *backward, work, first, count).value;
                     };
                   }));
}

/// The budget of one layer alone.
Moves only(const Moves& moves, int layer) {
  Moves one = moves;
  for (std::size_t m = 0; m < one.flips.size(); ++m)
    if (static_cast<int>(m) != layer) one.flips[m] = {};
  for (std::size_t m = 0; m < one.budget.each.size(); ++m)
    if (static_cast<int>(m) != layer) one.budget.each[m].reset();
  return one;
}

}  // namespace

GraphDrops::GraphDrops(const BoxProblem& problem, const GraphBackward& backward, std::optional<double> work,
                       Index first, Index count)
    : enclosures(problem, first, count, static_cast<int>(problem.network.nodes().size())),
      before(margins_before(problem, enclosures, first, count)),
      rows(pair_rows(problem, first, 0, count)),
      cases(backward.cases(enclosures)),
      value(enclosed_drops(problem, enclosures, first, count)) {
  const int last = static_cast<int>(problem.network.nodes().size()) - 1;
  take(backward.minimum(last, rows.logits, rows.at, cases));
  if (!work) return;
  // Tighter limits may turn a lower slope over and make a pair looser: both passes count.
  backward.tighten(cases, *work);
  take(backward.minimum(last, rows.logits, rows.at, cases));
}

bool dense_chain(const Network& network) {
  for (const auto& node : network.nodes())
    if (node.layer->elementwise() && node.layer->kind() != "relu") return false;
  return refuses_chain(network).empty();
}

MatrixD linear_drops(const BoxProblem& problem, const Backward& backward, Index first, Index count) {
  return linear_drops(problem, backward, Hidden::backward, first, count);
}

BoundValues linear_chain_bound(const BoundContext& context, const EntryBox* entry) {
  return of_chain(context, Hidden::backward, entry);
}

ChainPasses::ChainPasses(const BoxProblem& problem) : backward_(problem) {
  if (!problem.moves.budget.zero()) graph_.emplace(problem);
}

MatrixD ChainPasses::drops(const BoxProblem& problem, Hidden hidden, Index first, Index count) const {
  MatrixD value = linear_drops(problem, backward_, hidden, first, count);
  if (!graph_) return value;
  std::optional<double> work;
  if (hidden == Hidden::backward) work = std::numeric_limits<double>::infinity();
  return value.cwiseMin(GraphDrops(problem, *graph_, work, first, count).value);
}

BoundMaker layer_by_layer(BoundMaker make) {
  return [make = std::move(make)](const BoxProblem& problem) -> BlockBound {
    std::vector<int> layers;
    for (int layer = 0; layer < problem.network.layers(); ++layer)
      if (problem.moves.allowance(layer)) layers.push_back(layer);
    if (problem.moves.budget.count != 1 || layers.size() < 2) return make(problem);
    using Part = std::pair<std::shared_ptr<const BoxProblem>, BlockBound>;
    std::vector<Part> parts;
    for (const int layer : layers) {
      auto own = std::make_shared<const BoxProblem>(
          BoxProblem{problem.network, problem.data, problem.radius, problem.float32, problem.rise,
                     only(problem.moves, layer), problem.shared, problem.entry});
      parts.emplace_back(own, make(*own));
    }
    return [parts](const BoxProblem&, Index first, Index count) {
      MatrixD value = parts.front().second(*parts.front().first, first, count);
      for (std::size_t i = 1; i < parts.size(); ++i)
        value = value.cwiseMax(parts[i].second(*parts[i].first, first, count));
      return value;
    };
  };
}

BoundValues linear_fast_bound(const BoundContext& context) {
  return with_hidden(context, Hidden::interval);
}
BoundValues linear_bound(const BoundContext& context) {
  return with_hidden(context, Hidden::backward);
}

std::vector<ParamSpec> linear_params() {
  return {
      {"work", ParamType::real, "1e10",
       "beyond dense chains: multiplications and additions an image that hidden limits may cost; limits that "
       "come later follow by interval from those before",
       "", 0, 1e18}};
}

std::string refuses_linear(const Network& network, const ThreatSet& set) {
  const auto why = refuses_set(network, set);
  return why.empty() ? refuses_graph(network) : why;
}

std::string refuses_linear_chain(const Network& network, const ThreatSet& set) {
  if (auto why = refuses_set(network, set); !why.empty()) return why;
  if (auto why = refuses_chain(network); !why.empty()) return why;
  for (const auto& node : network.nodes()) {
    if (node.layer->elementwise() && node.layer->kind() != "relu") {
      return "activation '" + node.name + "' (" + std::string(node.layer->kind()) + ") is not a ReLU";
    }
  }
  return {};
}

}  // namespace temblor
