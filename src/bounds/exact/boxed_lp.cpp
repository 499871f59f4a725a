#include "boxed_lp.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::exact {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double feasible = 1e-9;   // by how much a limit may be missed
constexpr double no_entry = 1e-9;   // smaller entries of the dictionary count as 0
constexpr double tie = 1e-13;       // ratios this close are tied
constexpr Index chunk = 16;         // ratios whose least one is kept
constexpr Index fresh_after = 400;  // pivots, then the dictionary is made anew

/// A number in [0.5, 1.5) that looks random, for column j.
double jitter(Index j) {
  const auto mixed = static_cast<std::uint64_t>(j + 1) * 0x9E3779B97F4A7C15U;
  return 0.5 + static_cast<double>(mixed >> 11U) * 0x1p-53;
}

/// to += factor * from, n numbers, n a multiple of 4; the sum of squares of the result, in one pass.
double add_scaled(double* __restrict to, double factor, const double* __restrict from, Index n) {
  using Four = Eigen::Array<double, 4, 1>;
  const Four by = Four::Constant(factor);
  Four first = Four::Zero();
  Four second = Four::Zero();
  Index j = 0;
  for (; j + 8 <= n; j += 8) {
    const Four a = Eigen::Map<const Four>(to + j) + by * Eigen::Map<const Four>(from + j);
    const Four b = Eigen::Map<const Four>(to + j + 4) + by * Eigen::Map<const Four>(from + j + 4);
    Eigen::Map<Four>(to + j) = a;
    Eigen::Map<Four>(to + j + 4) = b;
    first += a * a;
    second += b * b;
  }
  if (j < n) {
    const Four a = Eigen::Map<const Four>(to + j) + by * Eigen::Map<const Four>(from + j);
    Eigen::Map<Four>(to + j) = a;
    first += a * a;
  }
  return (first + second).sum();
}

using Row = Eigen::Map<Eigen::ArrayXd>;
using ConstRow = Eigen::Map<const Eigen::ArrayXd>;

}  // namespace

BoxedLp::BoxedLp(const MatrixD& rows)
    : original_(rows), rows_(rows.rows()), columns_(rows.cols()), stride_((columns_ + 3) / 4 * 4) {
  const auto variables = static_cast<std::size_t>(rows_ + columns_);
  place_.resize(variables);
  lower_.assign(variables, 0);
  upper_.assign(variables, 0);
  basic_.resize(static_cast<std::size_t>(rows_));
  nonbasic_.resize(static_cast<std::size_t>(columns_));
  high_.assign(static_cast<std::size_t>(columns_), 0);
  sense_.assign(static_cast<std::size_t>(columns_), 0);
  basic_value_.resize(static_cast<std::size_t>(rows_));
  weight_.resize(static_cast<std::size_t>(rows_));
  fresh_.resize(static_cast<std::size_t>(stride_));
  const Index chunks = (columns_ + chunk - 1) / chunk;
  ratio_.assign(static_cast<std::size_t>(chunks * chunk), infinity);
  chunk_least_.assign(static_cast<std::size_t>(chunks), infinity);
  table_.resize(static_cast<std::size_t>((rows_ + 1) * stride_));
  cost_ = VectorD::Zero(columns_);
  for (Index i = 0; i < rows_; ++i) basic_[static_cast<std::size_t>(i)] = columns_ + i;
  for (Index j = 0; j < columns_; ++j) nonbasic_[static_cast<std::size_t>(j)] = j;
  refactor();
}

void BoxedLp::bound(Index variable, double lower, double upper) {
  lower_[static_cast<std::size_t>(variable)] = lower;
  upper_[static_cast<std::size_t>(variable)] = std::max(lower, upper);
}

void BoxedLp::objective(const VectorD& cost) {
  cost_ = cost;
  disturb(5e-10);
}

void BoxedLp::disturb(double by) {
  const double size = columns_ == 0 ? 0.0 : by * cost_.cwiseAbs().maxCoeff();
  for (Index j = 0; j < columns_; ++j) cost_(j) += size * jitter(j);
  set_costs();
}

void BoxedLp::set_costs() {
  Row d(row(rows_), stride_);
  d.setZero();
  for (Index j = 0; j < columns_; ++j) {
    const Index place = place_[static_cast<std::size_t>(j)];
    if (place < 0) {
      d(-1 - place) += cost_(j);
    } else if (cost_(j) != 0) {
      d += cost_(j) * ConstRow(row(place), stride_);
    }
  }
}

double BoxedLp::reduced_cost(Index variable) const {
  const Index place = place_[static_cast<std::size_t>(variable)];
  return place < 0 ? row(rows_)[-1 - place] : 0.0;
}

void BoxedLp::crash(Index column, Index constraint) {
  const Index j = place_[static_cast<std::size_t>(column)];
  const Index i = place_[static_cast<std::size_t>(columns_ + constraint)];
  if (j >= 0 || i < 0) return;
  if (std::abs(row(i)[-1 - j]) > 1e-3) pivot(i, -1 - j);
}

double BoxedLp::resting(Index j) const {
  const auto variable = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(j)]);
  return high_[static_cast<std::size_t>(j)] != 0 ? upper_[variable] : lower_[variable];
}

void BoxedLp::set_sense(Index j) {
  const auto variable = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(j)]);
  const double way = high_[static_cast<std::size_t>(j)] != 0 ? -1 : 1;
  sense_[static_cast<std::size_t>(j)] = lower_[variable] == upper_[variable] ? 0 : way;
}

/// Every nonbasic variable goes to the end that its reduced cost wants; the basic ones follow.
void BoxedLp::rest() {
  const double* d = row(rows_);
  Eigen::ArrayXd at = Eigen::ArrayXd::Zero(stride_);
  for (Index j = 0; j < columns_; ++j) {
    if (d[j] > 0) high_[static_cast<std::size_t>(j)] = 0;
    if (d[j] < 0) high_[static_cast<std::size_t>(j)] = 1;
    at(j) = resting(j);
    set_sense(j);
  }
  for (Index i = 0; i < rows_; ++i) {
    basic_value_[static_cast<std::size_t>(i)] = (ConstRow(row(i), stride_) * at).sum();
  }
  objective_ = (ConstRow(d, stride_) * at).sum();
}

/// Where the reduced costs change sign as basic variable i is pushed up (side 1) or down (-1).
void BoxedLp::breakpoints(Index i, double side) {
  ratio_row_ = row(i);
  const double* __restrict a = ratio_row_;
  const double* __restrict d = row(rows_);
  const double* __restrict sense = sense_.data();
  double* __restrict ratio = ratio_.data();
  for (Index j = 0; j < columns_; ++j) {
    const double entry = side * a[j] * sense[j];
    const double price = d[j] * sense[j];
    const double at = (price > 0 ? price : 0) / entry;
    ratio[j] = entry > no_entry ? at : infinity;
  }
  for (std::size_t k = 0; k < chunk_least_.size(); ++k) find_least(static_cast<Index>(k));
}

void BoxedLp::find_least(Index at) {
  using Chunk = Eigen::Array<double, chunk, 1>;
  chunk_least_[static_cast<std::size_t>(at)] = Eigen::Map<const Chunk>(ratio_.data() + at * chunk).minCoeff();
}

BoxedLp::Breakpoint BoxedLp::least() const {
  const auto first = std::min_element(chunk_least_.begin(), chunk_least_.end());
  if (first == chunk_least_.end() || *first == infinity) return {infinity, 0, -1};
  const auto begin = ratio_.begin() + (first - chunk_least_.begin()) * chunk;
  const Index column = std::find(begin, begin + chunk, *first) - ratio_.begin();
  return {*first, std::abs(ratio_row_[column]), column};
}

void BoxedLp::drop(Index column) {
  ratio_[static_cast<std::size_t>(column)] = infinity;
  find_least(column / chunk);
}

BoxedLp::Along BoxedLp::step_along(Index variable, double lower, double upper, double enough) {
  const Index place = place_[static_cast<std::size_t>(variable)];
  if (place < 0) {
    const double at = resting(-1 - place);
    return {std::abs(row(rows_)[-1 - place]) * std::max({0.0, lower - at, at - upper}), 0};
  }
  const double at = basic_value_[static_cast<std::size_t>(place)];
  double slope = std::max(lower - at, at - upper);
  if (slope <= feasible) return {0, 0};
  const double side = at < lower ? 1 : -1;
  breakpoints(place, side);
  double gain = 0;
  double last = 0;
  for (Breakpoint next = least(); next.column >= 0; next = least()) {
    const double more = slope * (next.ratio - last);
    if (gain + more >= enough) break;
    gain += more;
    last = next.ratio;
    const auto moving = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(next.column)]);
    slope -= next.size * (upper_[moving] - lower_[moving]);
    if (slope <= feasible) return {gain, side * last};
    drop(next.column);
  }
  if (enough == infinity) return {infinity, side * last};
  return {enough, side * (last + (enough - gain) / slope)};
}

void BoxedLp::duals_after(Index variable, double lower, double upper, double enough, VectorD& y) {
  const Along along = step_along(variable, lower, upper, enough);
  ray_ = place_[static_cast<std::size_t>(variable)];
  ray_step_ = along.step;
  duals(y);
  ray_ = -1;
}

BoxedLp::End BoxedLp::solve(double stop, Index most_pivots) {
  ray_ = -1;
  if (since_ > fresh_after) refactor();
  rest();
  for (Index count = 0; count <= most_pivots; ++count) {
    if (objective_ >= stop) return End::above;
    Index leaving = -1;
    double best = 0;
    for (std::size_t i = 0; i < basic_.size(); ++i) {
      const auto variable = static_cast<std::size_t>(basic_[i]);
      const double missed = std::max(lower_[variable] - basic_value_[i], basic_value_[i] - upper_[variable]);
      if (missed <= feasible) continue;
      const double price = missed * missed / weight_[i];
      if (price > best) {
        best = price;
        leaving = static_cast<Index>(i);
      }
    }
    if (leaving < 0) return End::optimal;
    if (!step(leaving, stop)) return End::empty;
  }
  return End::stalled;
}

/// One iteration; false when the limits of basic variable i cannot be met.
bool BoxedLp::step(Index i, double stop) {
  const auto at = static_cast<std::size_t>(i);
  const auto leaving = static_cast<std::size_t>(basic_[at]);
  const bool up = basic_value_[at] < lower_[leaving];
  const double target = up ? lower_[leaving] : upper_[leaving];
  breakpoints(i, up ? 1 : -1);
  double slope = std::abs(target - basic_value_[at]);
  std::vector<Breakpoint> passed;
  Breakpoint chosen{infinity, 0, -1};
  double last = 0;
  double gain = 0;
  for (Breakpoint next = least(); next.column >= 0; next = least()) {
    const auto variable = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(next.column)]);
    if (chosen.column >= 0 && next.ratio > chosen.ratio + tie) break;
    drop(next.column);
    if (chosen.column >= 0) {  // tied: the larger entry is the safer pivot
      if (next.size > chosen.size) {
        passed.push_back(chosen);
        chosen = next;
      }
      continue;
    }
    gain += slope * (next.ratio - last);
    last = next.ratio;
    slope -= next.size * (upper_[variable] - lower_[variable]);
    if (slope <= feasible) {
      chosen = next;
    } else {
      passed.push_back(next);
    }
  }
  if (chosen.column < 0) {
    ray_ = i;
    // Beyond the last sign change the objective rises at this slope for ever.
    const double missing = std::max(0.0, stop - objective_ - gain);
    ray_step_ = last + missing * (1 + 1e-9) / std::max(slope, 1e-12) + 1e-12;
    if (!up) ray_step_ = -ray_step_;
    return false;
  }
  for (const Breakpoint& flip : passed) {
    const auto variable = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(flip.column)]);
    char& high = high_[static_cast<std::size_t>(flip.column)];
    const double by = (high != 0 ? -1.0 : 1.0) * (upper_[variable] - lower_[variable]);
    high = high != 0 ? 0 : 1;
    set_sense(flip.column);
    for (Index k = 0; k < rows_; ++k) basic_value_[static_cast<std::size_t>(k)] += by * row(k)[flip.column];
  }
  const Index j = chosen.column;
  const double by = (target - basic_value_[at]) / row(i)[j];
  const double entering = resting(j) + by;
  for (Index k = 0; k < rows_; ++k) basic_value_[static_cast<std::size_t>(k)] += by * row(k)[j];
  pivot(i, j);
  basic_value_[at] = entering;
  high_[static_cast<std::size_t>(j)] = up ? 0 : 1;
  set_sense(j);
  const double* d = row(rows_);
  objective_ = 0;
  for (Index k = 0; k < columns_; ++k) {
    const auto variable = static_cast<std::size_t>(nonbasic_[static_cast<std::size_t>(k)]);
    objective_ += d[k] >= 0 ? d[k] * lower_[variable] : d[k] * upper_[variable];
  }
  return true;
}

void BoxedLp::pivot(Index i, Index j) {
  Row leaving(row(i), stride_);
  Row fresh(fresh_.data(), stride_);
  const double entry = leaving(j);
  fresh = leaving / -entry;
  fresh(j) = 1 / entry;
  for (Index k = 0; k <= rows_; ++k) {
    if (k == i) continue;
    double* to = row(k);
    const double factor = to[j];
    if (factor == 0) continue;
    to[j] = 0;
    const double size = add_scaled(to, factor, fresh_.data(), stride_);
    if (k < rows_) weight_[static_cast<std::size_t>(k)] = 1 + size;
  }
  leaving = fresh;
  weight_[static_cast<std::size_t>(i)] = 1 + leaving.matrix().squaredNorm();
  const Index out = basic_[static_cast<std::size_t>(i)];
  const Index in = nonbasic_[static_cast<std::size_t>(j)];
  std::swap(basic_[static_cast<std::size_t>(i)], nonbasic_[static_cast<std::size_t>(j)]);
  place_[static_cast<std::size_t>(in)] = i;
  place_[static_cast<std::size_t>(out)] = -1 - j;
  ++pivots_;
  ++since_;
}

/// The dictionary of the same basis from the original rows, free of what rounding has added up.
void BoxedLp::refactor() {
  const std::vector<Index> wanted = basic_;
  std::vector<char> stays(place_.size(), 0);
  std::vector<char> was_high(place_.size(), 0);
  for (const Index variable : wanted) stays[static_cast<std::size_t>(variable)] = 1;
  for (std::size_t j = 0; j < nonbasic_.size(); ++j)
    was_high[static_cast<std::size_t>(nonbasic_[j])] = high_[j];
  std::fill(table_.begin(), table_.end(), 0.0);
  for (Index i = 0; i < rows_; ++i) {
    Row(row(i), stride_).head(columns_) = original_.row(i).transpose().array();
    weight_[static_cast<std::size_t>(i)] = 1 + original_.row(i).squaredNorm();
    basic_[static_cast<std::size_t>(i)] = columns_ + i;
    place_[static_cast<std::size_t>(columns_ + i)] = i;
  }
  for (Index j = 0; j < columns_; ++j) {
    nonbasic_[static_cast<std::size_t>(j)] = j;
    place_[static_cast<std::size_t>(j)] = -1 - j;
  }
  const Index before = pivots_;
  for (Index j = 0; j < columns_; ++j) {
    if (stays[static_cast<std::size_t>(j)] == 0) continue;
    Index best = -1;
    for (Index i = 0; i < rows_; ++i) {
      const Index variable = basic_[static_cast<std::size_t>(i)];
      if (variable < columns_ || stays[static_cast<std::size_t>(variable)] != 0) continue;
      if (best < 0 || std::abs(row(i)[j]) > std::abs(row(best)[j])) best = i;
    }
    // A basis that is singular but for rounding is left as it is here.
    if (best >= 0 && std::abs(row(best)[j]) > no_entry) pivot(best, j);
  }
  for (std::size_t j = 0; j < nonbasic_.size(); ++j)
    high_[j] = was_high[static_cast<std::size_t>(nonbasic_[j])];
  pivots_ = before;
  since_ = 0;
  set_costs();
}

void BoxedLp::duals(VectorD& y) const {
  y.setZero(rows_);
  const double* d = row(rows_);
  const double* a = ray_ < 0 ? nullptr : row(ray_);
  for (Index j = 0; j < columns_; ++j) {
    const Index variable = nonbasic_[static_cast<std::size_t>(j)];
    if (variable < columns_) continue;
    y(variable - columns_) = a == nullptr ? d[j] : d[j] - ray_step_ * a[j];
  }
  if (ray_ < 0) return;
  const Index variable = basic_[static_cast<std::size_t>(ray_)];
  if (variable >= columns_) y(variable - columns_) = ray_step_;
}

double BoxedLp::value(Index variable) const {
  const Index place = place_[static_cast<std::size_t>(variable)];
  return place < 0 ? resting(-1 - place) : basic_value_[static_cast<std::size_t>(place)];
}

}  // namespace temblor::exact
