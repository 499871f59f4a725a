#include "margin_bound.hpp"

#include <utility>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

const std::vector<std::pair<std::string, MarginBoundKind>>& kinds() {
  static const std::vector<std::pair<std::string, MarginBoundKind>> all = {
      {"norm-product", MarginBoundKind::norm_product},
      {"norm-vector", MarginBoundKind::norm_vector},
      {"interval", MarginBoundKind::interval},
      {"linear", MarginBoundKind::linear}};
  return all;
}

}  // namespace

ParamSpec margin_bound_param(const std::vector<std::string>& names) {
  return {.name = "bound",
          .type = ParamType::choice,
          .initial = names.front(),
          .help = "bound on the margin drop (temblor list bounds)",
          .choices = names};
}

MarginBoundKind margin_bound_kind(const std::string& name) {
  for (const auto& [known, kind] : kinds()) {
    if (known == name) return kind;
  }
  internal_error("'" + name + "' is a bound that can be trained on");
}

std::string refuses_margin_bound(const Network& network, MarginBoundKind kind) {
  const std::string why = refuses_chain_bound(network, kind);
  if (why.empty()) return {};
  std::string graph = refuses_graph_bound(network);
  if (kind == MarginBoundKind::interval) return graph;
  return graph.empty() ? why + "; bound=interval works on this network" : why;
}

std::unique_ptr<MarginBound> make_margin_bound(const MarginBoundInput& input, MarginBoundKind kind) {
  return refuses_chain_bound(input.network, kind).empty() ? make_chain_bound(input, kind)
                                                          : make_graph_bound(input);
}

Tape::Var lowest_margins(Tape& tape, const LastLayer& last, Tape::Var least, Tape::Var most,
                         const std::vector<std::int32_t>& labels, double eps) {
  const auto middle = tape.scaled(tape.sum(least, most), 0.5);
  const auto half = tape.scaled(tape.difference(most, least), 0.5);
  const auto rows = tape.shifted(tape.differences(last.weight, labels), -2 * eps);
  const auto low = tape.difference(tape.dots(rows, middle), tape.dots(tape.magnitude(rows), half));
  return last.bias ? tape.sum(low, bias_margins(tape, *last.bias, labels)) : low;
}

Tape::Var bias_margins(Tape& tape, Tape::Var bias, const std::vector<std::int32_t>& labels) {
  const Index classes = tape.value(bias).cols();
  return tape.folded(tape.differences(tape.transposed(bias), labels), classes);
}

MatrixD pair_margins(const MatrixD& logits, const std::vector<std::int32_t>& labels) {
  VectorD own(logits.rows());
  for (Index n = 0; n < logits.rows(); ++n) own(n) = logits(n, labels[static_cast<std::size_t>(n)]);
  return (-logits).colwise() + own;
}

MatrixD logits_from_margins(const MatrixD& by_margins, const std::vector<std::int32_t>& labels) {
  MatrixD by_logits = -by_margins;
  for (Index n = 0; n < by_margins.rows(); ++n)
    by_logits(n, labels[static_cast<std::size_t>(n)]) += by_margins.row(n).sum();
  return by_logits;
}

void add_gradient(Matrix& total, const Matrix& gradient) {
  if (total.size() == 0) {
    total = gradient;
  } else {
    total += gradient;
  }
}

}  // namespace temblor
