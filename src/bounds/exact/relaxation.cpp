#include "relaxation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/network/affine_interval.hpp>

namespace temblor::exact {

double above(double a, double size) {
  return a + 0x1p-50 * (std::abs(a) + size) + 1e-300;
}
double below(double a, double size) {
  return a - 0x1p-50 * (std::abs(a) + size) - 1e-300;
}

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double relu(double p) {
  return p < 0 ? 0 : p;
}

bool is_unstable(const std::vector<Reading>& readings, std::size_t layer, Index unit) {
  const Limits& widest = readings.back().limits[layer];
  return widest.lower(unit) < 0 && widest.upper(unit) > 0;
}

}  // namespace

Relaxation::Relaxation(const std::vector<Reading>& readings, std::size_t base, std::size_t top)
    : base_(base), top_(top), image_(readings.front().image) {
  Index columns = 0;
  Index rows = 0;
  for (std::size_t layer = base; layer <= top; ++layer) {
    const Limits& widest = readings.back().limits[layer];
    column_of_.emplace_back(static_cast<std::size_t>(widest.upper.size()), -1);
    for (Index k = 0; k < widest.upper.size(); ++k) {
      if (widest.upper(k) <= 0) continue;
      column_of_.back()[static_cast<std::size_t>(k)] = columns;
      if (layer > base) {
        Unit unit{layer, k, columns};
        unit.below = rows++;
        if (widest.lower(k) < 0) unit.chord = rows++;
        unit.above = rows++;
        units_.push_back(unit);
      }
      ++columns;
    }
    if (layer > base || image_ == nullptr) continue;
    const auto& places = column_of_.back();
    const std::size_t values = places.size() - image_->split.size();
    for (std::size_t k = 0; k < image_->split.size(); ++k) {
      Unit unit{base, image_->split[k], places[static_cast<std::size_t>(image_->split[k])]};
      unit.gate = places[values + k];
      unit.chord = rows++;
      units_.push_back(unit);
    }
  }
  for (Unit& unit : units_) {
    if (unit.above >= 0) unit.gate = columns + unit.above;
  }
  for (const Reading& reading : readings) {
    Program program;
    program.rows = MatrixD::Zero(rows, columns);
    program.lower = VectorD::Zero(columns + rows);
    program.upper = VectorD::Zero(columns + rows);
    for (std::size_t layer = base; layer <= top; ++layer) {
      const auto& places = column_of_[layer - base];
      for (std::size_t k = 0; k < places.size(); ++k) {
        if (places[k] < 0) continue;
        program.lower(places[k]) = relu(reading.limits[layer].lower(static_cast<Index>(k)));
        program.upper(places[k]) = relu(reading.limits[layer].upper(static_cast<Index>(k)));
      }
    }
    program.column_size = program.upper.head(columns);
    for (const Unit& unit : units_) {
      if (unit.above < 0) {
        const double u = program.upper(unit.column);
        const double most = program.upper(unit.gate);
        program.rows(unit.chord, unit.column) = 1;
        program.rows(unit.chord, unit.gate) = below(u / most, u / most);
        program.upper(columns + unit.chord) = u;
        program.above.push_back({0, most});
        continue;
      }
      const Reach& reach = (*reading.reach)[unit.layer];
      const Limits& limits = reading.limits[unit.layer];
      const double l = limits.lower(unit.unit);
      const double u = limits.upper(unit.unit);
      const auto fill = [&](Index row, double slope, bool high) {
        const MatrixD& from = high ? reach.high : reach.low;
        const auto& places = column_of_[unit.layer - 1 - base_];
        for (std::size_t k = 0; k < places.size(); ++k) {
          if (places[k] < 0) continue;
          const double a = from(unit.unit, static_cast<Index>(k));
          program.rows(row, places[k]) =
              slope == 1 ? -a : -(slope * a + std::abs(slope * a) * 0x1p-50 + 1e-300);
        }
        program.rows(row, unit.column) = 1;
        // The side that no constraint limits gets what the columns' box allows.
        const auto a = program.rows.row(row).transpose().array();
        const auto least = program.lower.head(columns).array();
        const auto most = program.upper.head(columns).array();
        const double size = (a.abs() * most).sum() * gamma64(2 * columns + 8);
        program.lower(columns + row) = (a.max(0.0) * least + a.min(0.0) * most).sum() - size;
        program.upper(columns + row) = (a.max(0.0) * most + a.min(0.0) * least).sum() + size;
      };
      const auto no_more = [&](Index row, double limit) {
        double& upper = program.upper(columns + row);
        upper = std::min(upper, limit);
        program.lower(columns + row) = std::min(program.lower(columns + row), upper);
      };
      fill(unit.below, 1, false);
      double& least = program.lower(columns + unit.below);
      least = std::max(least, reach.low_bias(unit.unit));
      program.upper(columns + unit.below) = std::max(program.upper(columns + unit.below), least);
      const double bias = reach.high_bias(unit.unit);
      fill(unit.above, 1, true);
      const double loose = program.upper(columns + unit.above);
      Above limit{std::min(loose, bias), std::min(loose, above(bias + relu(-l), std::abs(bias)))};
      if (l >= 0) limit.open = limit.on;
      no_more(unit.above, limit.open);
      program.lower(columns + unit.above) = std::min(program.lower(columns + unit.above), limit.on);
      program.above.push_back(limit);
      if (unit.chord >= 0) {
        const double slope = l >= 0 ? 1 : u <= 0 ? 0 : std::min(1.0, u / (u - l));
        fill(unit.chord, slope, true);
        const double offset = above(std::max(relu(u) * (1 - slope), -slope * l), 0x1p-2 * relu(u));
        no_more(unit.chord, above(slope * bias + std::max(offset, 0.0), std::abs(bias)));
      }
    }
    program.row_size = program.rows.cwiseAbs() * program.column_size +
                       program.lower.tail(rows).cwiseAbs().cwiseMax(program.upper.tail(rows).cwiseAbs());
    programs_.push_back(std::move(program));
  }
}

Index Relaxation::column(std::size_t layer, Index unit) const {
  return column_of_[layer - base_][static_cast<std::size_t>(unit)];
}

VectorD Relaxation::spread(const VectorD& on_top) const {
  VectorD cost = VectorD::Zero(programs_.front().rows.cols());
  for (Index k = 0; k < on_top.size(); ++k) {
    if (const Index at = column(top_, k); at >= 0) cost(at) = on_top(k);
  }
  return cost;
}

VectorD Relaxation::backward(const VectorD& cost) const {
  const Program& program = programs_.front();
  VectorD left = cost;
  VectorD y = VectorD::Zero(program.rows.rows());
  for (std::size_t k = units_.size(); k-- > 0;) {
    const Unit& unit = units_[k];
    const double v = left(unit.column);
    if (unit.above < 0) {
      const double other = left(unit.gate) / program.rows(unit.chord, unit.gate);
      if (std::min(v, other) < 0) {
        y(unit.chord) = std::min(v, other);
        left -= y(unit.chord) * program.rows.row(unit.chord).transpose();
      }
      continue;
    }
    if (v == 0) continue;
    Index row = unit.chord >= 0 ? unit.chord : unit.above;
    if (v > 0) {
      row = unit.below;
      // The line below that leaves the smaller area, p or 0.
      const double most = program.upper(unit.column);
      if (unit.chord >= 0 && program.above[k].open - program.above[k].on > most) row = -1;
    }
    if (row < 0) continue;
    y(row) = v;
    left -= v * program.rows.row(row).transpose();
  }
  return y;
}

BoxedLp Relaxation::start(const VectorD& cost) const {
  const Program& program = programs_.front();
  BoxedLp lp(program.rows);
  for (Index k = 0; k < program.lower.size(); ++k) lp.bound(k, program.lower(k), program.upper(k));
  lp.objective(cost);
  for (std::size_t k = units_.size(); k-- > 0;) {
    const Unit& unit = units_[k];
    if (unit.above < 0) continue;
    const double v = lp.reduced_cost(unit.column);
    if (v < 0) {
      lp.crash(unit.column, unit.chord >= 0 ? unit.chord : unit.above);
    } else if (unit.chord < 0 || program.above[k].open - program.above[k].on <= program.upper(unit.column)) {
      lp.crash(unit.column, unit.below);
    }
  }
  return lp;
}

double Relaxation::limit(const Program& program, const VectorD& cost, const VectorD& lower,
                         const VectorD& upper, const VectorD& y) {
  const Index columns = program.rows.cols();
  const Index rows = program.rows.rows();
  VectorD left = cost;
  double value = 0;
  double size = cost.cwiseAbs().dot(program.column_size);
  for (Index i = 0; i < rows; ++i) {
    if (y(i) == 0) continue;
    left -= y(i) * program.rows.row(i).transpose();
    value += y(i) > 0 ? y(i) * lower(columns + i) : y(i) * upper(columns + i);
    size += std::abs(y(i)) * program.row_size(i);
  }
  const auto a = left.array();
  value += (a.max(0.0) * lower.head(columns).array() + a.min(0.0) * upper.head(columns).array()).sum();
  const double low = value - 1.01 * gamma64(2 * (rows + columns) + 32) * (size + std::abs(value)) - 1e-290;
  return std::isnan(low) ? -infinity : low;
}

void tighten(std::vector<Reading>& readings, std::size_t base, std::size_t layer, Index pivots) {
  const Relaxation relaxation(readings, base, layer - 1);
  const auto limits_of = [&](const VectorD& y, const std::vector<VectorD>& costs, std::size_t q) {
    const Program& program = relaxation.programs()[q];
    return Relaxation::limit(program, costs[q], program.lower, program.upper, y);
  };
  std::vector<BoxedLp> lp;
  VectorD y;
  for (const bool simplex : {false, true}) {
    const Index units = readings.front().limits[layer].lower.size();
    for (Index k = 0; k < units; ++k) {
      for (const int side : {0, 1}) {
        if (!is_unstable(readings, layer, k)) break;
        std::vector<VectorD> costs;
        for (const Reading& reading : readings) {
          const Reach& reach = (*reading.reach)[layer];
          costs.push_back(
              relaxation.spread(side == 0 ? VectorD(reach.low.row(k)) : VectorD(-reach.high.row(k))));
        }
        if (!simplex) {
          y = relaxation.backward(costs.front());
        } else {
          if (lp.empty()) lp.push_back(relaxation.start(costs.front()));
          lp.front().objective(costs.front());
          lp.front().solve(infinity, pivots);
          lp.front().duals(y);
        }
        for (std::size_t q = 0; q < readings.size(); ++q) {
          const Reach& reach = (*readings[q].reach)[layer];
          Limits& limits = readings[q].limits[layer];
          const double low = limits_of(y, costs, q);
          if (side == 0) {
            limits.lower(k) = std::max(limits.lower(k), below(low + reach.low_bias(k), std::abs(low)));
          } else {
            limits.upper(k) = std::min(limits.upper(k), above(reach.high_bias(k) - low, std::abs(low)));
          }
        }
        // The sets are nested, and so are the ranges.
        Limits& inner = readings.front().limits[layer];
        const Limits& outer = readings.back().limits[layer];
        inner.lower(k) = std::max(inner.lower(k), outer.lower(k));
        inner.upper(k) = std::min(inner.upper(k), outer.upper(k));
      }
    }
  }
}

}  // namespace temblor::exact
