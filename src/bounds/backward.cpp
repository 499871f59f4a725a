#include <algorithm>
#include <cmath>

#include <temblor/bounds/backward.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// Rows carried backward at once: bounds the memory of wide layers.
constexpr Index row_chunk = 2048;
/// Relative allowance for one rounded product, quotient or difference.
constexpr double ulp = 0x1p-52;
/// What products below the normal range may lose.
constexpr double underflow = 1e-300;

const MatrixD* choice(const RowChoices* choices, std::vector<MatrixD> RowChoices::*kind, std::size_t m) {
  if (choices == nullptr || m >= (choices->*kind).size() || (choices->*kind)[m].size() == 0) return nullptr;
  return &(choices->*kind)[m];
}

}  // namespace

Lines enclosing_lines(const Interval& p) {
  Lines lines{MatrixD::Zero(p.lower.rows(), p.lower.cols()), {}, {}};
  lines.above = lines.below;
  lines.offset = lines.below;
  for (Index i = 0; i < p.lower.size(); ++i) {
    const double l = p.lower.data()[i];
    const double u = p.upper.data()[i];
    if (u <= 0) continue;
    if (l >= 0) {
      lines.below.data()[i] = lines.above.data()[i] = 1;
      continue;
    }
    lines.below.data()[i] = u >= -l ? 1 : 0;
    lines.above.data()[i] = std::min(1.0, u / (u - l) * (1 + 8 * ulp));
    lines.offset.data()[i] = -l * lines.above.data()[i] * (1 + 4 * ulp);
  }
  return lines;
}

void Cases::narrow(std::size_t m, const UnitRow& row, double limit) {
  double& lower = limits[m].lower(row.at, row.unit);
  double& upper = limits[m].upper(row.at, row.unit);
  if (row.sign > 0) {
    lower = std::max(lower, limit);
  } else {
    upper = std::min(upper, -limit);
  }
}

Backward::Backward(const BoxProblem& problem) : moves_(problem.moves) {
  const Network& network = problem.network;
  for (int m = 0; m < network.layers(); ++m) {
    const Weights& weights = network.weights(m);
    LinearLayer layer{weights.weight.cast<double>(), weights.bias.cast<double>(), {}};
    if (layer.bias.size() == 0) layer.bias = VectorD::Zero(layer.weight.rows());
    const auto& box = problem.radius[static_cast<std::size_t>(m)];
    layer.adversaries.push_back(std::make_shared<BoxAdversary>(layer.weight, box ? &*box : nullptr));
    if (moves_.l2_of(m) > 0 || moves_.row_of(m) > 0) {
      layer.adversaries.push_back(std::make_shared<NormAdversary>(layer.weight.rows(), moves_.l2_of(m),
                                                                  moves_.row_of(m), moves_.biases));
    }
    boxes_ = boxes_ && !moves_.touch(m);
    widest_ = std::max(widest_, layer.weight.rows());
    layers_.push_back(std::move(layer));
  }
  boxes_ = boxes_ && moves_.input == 0;
  first_box_ = problem.radius.front();
}

Cases Backward::cases(const Network& network, const Enclosures& enclosures) const {
  Cases cases;
  cases.lines.resize(hidden());
  for (std::size_t m = 0; m < hidden(); ++m) {
    cases.limits.push_back(enclosures.moved(network.node_of(static_cast<int>(m))));
    cases.draw(m);
  }
  const bool image_moves = moves_.input > 0;
  if (hidden() == 0 || !(image_moves || moves_.l2_of(0) > 0 || moves_.allowance(0))) return cases;
  Cases::First first;
  const Interval& image = enclosures.moved(-1);
  first.largest = magnitude(image);
  first.positive = (image.lower.array() >= 0).all();
  first.norm = size_of(first.largest, moves_.biases);
  if (image_moves) {
    first.image = image;
  } else {
    first.boxes = enclosures.nominal(network.node_of(0));
    if (first_box_) {
      const MatrixD reach = radius_reach(*first_box_, units(0), first.largest);
      const MatrixD most = reach + (magnitude(first.boxes) + reach) * ulp;
      first.boxes.lower -= most;
      first.boxes.upper += most;
    }
  }
  cases.first = std::move(first);
  return cases;
}

Interval Backward::inputs(std::size_t m, const Cases& cases) const {
  const Interval& p = cases.limits[m - 1];
  return {p.lower.cwiseMax(0.0), p.upper.cwiseMax(0.0)};
}

// Each row's losses to a change of one parameter of layer m, [rows x outputs] coefficients on its outputs.
void Backward::add_losses(const MatrixD& a, std::size_t m, const MatrixD& largest, bool signs,
                          Forms& forms) const {
  if (moves_.budget.zero()) return;
  forms.losses.resize(static_cast<std::size_t>(a.rows()), Largest(moves_.budget.count));
  budget_losses(moves_, static_cast<int>(m), a, largest, signs, forms.at, forms.losses);
}

Forms Backward::unit_forms(std::size_t m, const std::vector<UnitRow>& rows, const Cases& cases) const {
  const LinearLayer& layer = layers_[m];
  const auto count = static_cast<Index>(rows.size());
  Forms forms(count, layer.weight.cols());
  std::vector<Index> units(rows.size());
  for (Index i = 0; i < count; ++i) {
    const auto& [at, unit, sign] = rows[static_cast<std::size_t>(i)];
    forms.v.row(i) = sign * layer.weight.row(unit);
    forms.constant(i) = sign * layer.bias(unit);
    forms.size(i) = std::abs(layer.bias(unit));
    forms.at[static_cast<std::size_t>(i)] = at;
    units[static_cast<std::size_t>(i)] = unit;
  }
  const bool moving = moves_.touch(static_cast<int>(m));
  const Interval z = moving ? inputs(m, cases) : Interval{};
  for (const auto& adversary : layer.adversaries) adversary->take_units(units, &z, forms);
  if (moving) {
    MatrixD a = MatrixD::Zero(count, layer.weight.rows());
    for (Index i = 0; i < count; ++i)
      a(i, units[static_cast<std::size_t>(i)]) = rows[static_cast<std::size_t>(i)].sign;
    add_losses(a, m, z.upper, true, forms);
  }
  return forms;
}

Forms Backward::logit_forms(const MatrixD& logits, std::vector<Index> at, const Cases& cases) const {
  Forms forms(logits.rows(), logits.cols());
  forms.v = logits;
  forms.at = std::move(at);
  step(forms, hidden(), cases);
  return forms;
}

VectorD Backward::minimum(Forms& forms, std::size_t layer, const Cases& cases, const RowChoices* choices,
                          Trace* trace) const {
  if (trace != nullptr) {
    trace->v.resize(layer + 1);
    trace->a.resize(layer + 1);
  }
  for (std::size_t m = layer; m > 0; --m) {
    if (trace != nullptr) trace->v[m] = forms.v;
    relax(forms, m, cases, choices);
    if (trace != nullptr) trace->a[m] = forms.v;
    step(forms, m, cases);
  }
  if (trace != nullptr) trace->v[0] = trace->a[0] = forms.v;
  const VectorD low = close(forms, cases);
  const bool through = cases.first && cases.first->norm.size() == cases.count();
  return through ? low.cwiseMax(close_at_image(forms, cases)) : low;
}

std::vector<MatrixD> Backward::minimiser(const Trace& trace, const std::vector<Index>& at, const Cases& cases,
                                         const RowChoices* choices) const {
  std::vector<MatrixD> p(trace.a.size());
  const Index rows = trace.a.front().rows();
  p.front().resize(rows, units(0));
  for (Index row = 0; row < rows; ++row) {
    const Index n = at[static_cast<std::size_t>(row)];
    const auto a = trace.a.front().row(row).array();
    p.front().row(row) =
        (a > 0).select(cases.limits.front().lower.row(n).array(), cases.limits.front().upper.row(n).array());
  }
  MatrixD z = p.front().cwiseMax(0.0);
  for (std::size_t m = 0; m + 1 < p.size(); ++m) {
    if (m > 0) {
      const Lines& line = cases.lines[m];
      const MatrixD* below = choice(choices, &RowChoices::below, m);
      z.resize(rows, units(m));
      for (Index row = 0; row < rows; ++row) {
        const Index n = at[static_cast<std::size_t>(row)];
        const auto x = p[m].row(row).array();
        const auto slope = below != nullptr ? below->row(row).array() : line.below.row(n).array();
        z.row(row) = (trace.v[m].row(row).array() >= 0)
                         .select(slope * x, line.above.row(n).array() * x + line.offset.row(n).array());
      }
    }
    const LinearLayer& layer = layers_[m + 1];
    p[m + 1].noalias() = z * layer.weight.transpose();
    p[m + 1].rowwise() += layer.bias.transpose();
    const Interval limits = moves_.touch(static_cast<int>(m + 1)) ? inputs(m + 1, cases) : Interval{};
    for (const auto& adversary : layer.adversaries)
      adversary->worst(trace.a[m + 1], z, &limits, at, p[m + 1]);
  }
  return p;
}

std::vector<UnitRow> Backward::open_units(std::size_t m, const Cases& cases) const {
  const Interval& limits = cases.limits[m];
  std::vector<UnitRow> rows;
  for (Index n = 0; n < limits.lower.rows(); ++n) {
    for (Index k = 0; k < limits.lower.cols(); ++k) {
      if (!(limits.lower(n, k) < 0 && limits.upper(n, k) > 0)) continue;
      rows.push_back({n, k, 1});
      rows.push_back({n, k, -1});
    }
  }
  return rows;
}

void Backward::tighten(std::size_t m, Cases& cases) const {
  if (interval_exact(m)) return;
  const auto rows = open_units(m, cases);
  for (std::size_t begin = 0; begin < rows.size(); begin += row_chunk) {
    const std::size_t end = std::min(rows.size(), begin + row_chunk);
    const std::vector<UnitRow> chunk(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                     rows.begin() + static_cast<std::ptrdiff_t>(end));
    Forms forms = unit_forms(m, chunk, cases);
    const VectorD low = minimum(forms, m - 1, cases);
    for (std::size_t i = 0; i < chunk.size(); ++i) {
      cases.narrow(m, chunk[i], low(static_cast<Index>(i)));
    }
  }
  cases.draw(m);
}

void Backward::relax(Forms& forms, std::size_t m, const Cases& cases, const RowChoices* choices) const {
  const Lines& line = cases.lines[m];
  const MatrixD* below = choice(choices, &RowChoices::below, m);
  const MatrixD* shift = choice(choices, &RowChoices::shift, m);
  for (Index row = 0; row < forms.rows(); ++row) {
    const Index n = forms.at[static_cast<std::size_t>(row)];
    auto v = forms.v.row(row).array();
    const double drop = (v.min(0.0) * line.offset.row(n).array()).sum();
    forms.constant(row) += drop;
    forms.size(row) -= drop;
    const auto slope = below != nullptr ? below->row(row).array() : line.below.row(n).array();
    v = v.max(0.0) * slope + v.min(0.0) * line.above.row(n).array();
    // Rounding is monotone: the rounded sum is a sum with another shift of the same sign.
    if (shift != nullptr) v += shift->row(row).array();
  }
}

void Backward::step(Forms& forms, std::size_t m, const Cases& cases) const {
  const LinearLayer& layer = layers_[m];
  const MatrixD a = std::move(forms.v);
  forms.v.noalias() = a * layer.weight;
  forms.constant.noalias() += a * layer.bias;
  forms.size.noalias() += a.cwiseAbs() * layer.bias.cwiseAbs();
  const bool moving = moves_.touch(static_cast<int>(m));
  const Interval z = moving ? inputs(m, cases) : Interval{};
  for (const auto& adversary : layer.adversaries) adversary->take(a, &z, forms);
  if (moving) add_losses(a, m, z.upper, true, forms);
}

// The first hidden layer's activations fill a box: the minimum over it, less every rounding so far.
VectorD Backward::close(const Forms& forms, const Cases& cases) const {
  const Interval& p = cases.limits.front();
  const double gamma = gamma64(8 * (widest_ + static_cast<Index>(hidden()) + 8) + 4096);
  VectorD low(forms.rows());
  for (Index row = 0; row < forms.rows(); ++row) {
    const Index n = forms.at[static_cast<std::size_t>(row)];
    const auto v = forms.v.row(row).array();
    const auto lower = p.lower.row(n).array().max(0.0);
    const auto upper = p.upper.row(n).array().max(0.0);
    const double value = (v.max(0.0) * lower + v.min(0.0) * upper).sum() + forms.constant(row);
    const double size = (v.abs() * upper).sum() + forms.size(row) + std::abs(value);
    low(row) = value - gamma * size - underflow;
    if (!forms.losses.empty()) low(row) -= forms.losses[static_cast<std::size_t>(row)].sum() * (1 + gamma);
  }
  return low;
}

VectorD Backward::close_at_image(Forms& forms, const Cases& cases) const {
  relax(forms, 0, cases, nullptr);
  const auto& first = *cases.first;
  const LinearLayer& layer = layers_.front();
  const MatrixD a = std::move(forms.v);
  const Index inputs = layer.weight.cols();
  const double gamma = gamma64(8 * (widest_ + inputs + static_cast<Index>(hidden()) + 8) + 4096);
  VectorD low(a.rows()), size(a.rows());
  if (first.image.lower.size() > 0) {
    forms.v = MatrixD::Zero(a.rows(), inputs);
    layer.adversaries.front()->take(a, nullptr, forms);  // the box: -abs(a) R, for magnitudes of x
    const MatrixD v = a * layer.weight;
    forms.constant.noalias() += a * layer.bias;
    forms.size.noalias() += a.cwiseAbs() * layer.bias.cwiseAbs();
    for (Index row = 0; row < a.rows(); ++row) {
      const Index n = forms.at[static_cast<std::size_t>(row)];
      const auto l = first.image.lower.row(n).array();
      const auto u = first.image.upper.row(n).array();
      const auto box = forms.v.row(row).array();
      // Concave in every x: the least is at an end.
      low(row) = (v.row(row).array() * l + box * l.abs()).min(v.row(row).array() * u + box * u.abs()).sum();
      size(row) = ((v.row(row).array().abs() + box.abs()) * first.largest.row(n).array()).sum();
    }
  } else {
    for (Index row = 0; row < a.rows(); ++row) {
      const Index n = forms.at[static_cast<std::size_t>(row)];
      const auto own = a.row(row).array();
      const auto l = first.boxes.lower.row(n).array();
      const auto u = first.boxes.upper.row(n).array();
      low(row) = (own.max(0.0) * l + own.min(0.0) * u).sum();
      size(row) = (own.abs() * l.abs().max(u.abs())).sum();
    }
  }
  VectorD balls = VectorD::Zero(a.rows());
  if (layer.adversaries.size() > 1) {
    balls = static_cast<const NormAdversary&>(*layer.adversaries.back()).weight(a);
  }
  add_losses(a, 0, first.largest, first.positive, forms);
  for (Index row = 0; row < a.rows(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    const double value = low(row) + forms.constant(row) - balls(row) * first.norm(forms.at[i]);
    const double most = size(row) + forms.size(row) + balls(row) * first.norm(forms.at[i]) + std::abs(value);
    low(row) = value - gamma * most - underflow;
    if (!forms.losses.empty()) low(row) -= forms.losses[i].sum() * (1 + gamma);
  }
  return low;
}

}  // namespace temblor
