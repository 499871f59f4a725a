#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor::exact {

/// Linear programs over a box, min c^T x subject to lower <= (x, A x) <= upper, every limit finite, by the
/// dual simplex method with bound flips (Fourer 1994; Maros, EJOR 2003) and steepest-edge prices (Forrest,
/// Goldfarb, Math. Programming 1992) on a dense dictionary: a few hundred variables, where a whole pivot
/// costs microseconds. Since all variables are boxed, every basis becomes dual feasible by flips: a solve
/// starts from the basis of the last one, whatever limits or objective have changed since.
///
/// Nothing here is rigorous, and nothing has to be: duals() of any iterate, rounded or not, give a lower
/// limit in Relaxation::limit(). Variables 0..n-1 are the columns, n..n+m-1 the rows. Costs are disturbed by
/// some 1e-9 of their size, which ends ties.
class BoxedLp {
 public:
  explicit BoxedLp(const MatrixD& rows);

  Index columns() const { return columns_; }
  Index rows() const { return rows_; }
  void bound(Index variable, double lower, double upper);
  void objective(const VectorD& cost);
  /// Adds numbers of this share of the largest cost to all costs: ends a stall.
  void disturb(double by);
  /// Exchanges a nonbasic column for a row that is basic, when the entry is large enough.
  void crash(Index column, Index row);
  /// In the present basis; 0 when the variable is basic.
  double reduced_cost(Index variable) const;

  enum class End {
    optimal,
    above,   ///< the objective has passed `stop`
    empty,   ///< no point meets the limits: duals() add the ray that shows it, up to `stop`
    stalled  ///< out of pivots
  };
  End solve(double stop, Index most_pivots);

  /// Multipliers of the rows [m]: the objective is (c - y A) x + y (A x).
  void duals(VectorD& y) const;
  double value(Index variable) const;
  /// By how much the objective rises at least when a variable's limits shrink to [lower, upper]: one step of
  /// the dual method (the penalties of Driebeek 1966). Valid after End::optimal.
  double penalty(Index variable, double lower, double upper) {
    return step_along(variable, lower, upper, std::numeric_limits<double>::infinity()).gain;
  }
  /// The multipliers at which that rise is `enough`, or as much as one step gives: they show how high the
  /// objective is at least under the other limits.
  void duals_after(Index variable, double lower, double upper, double enough, VectorD& y);
  Index pivots() const { return pivots_; }

 private:
  struct Breakpoint {
    double ratio;
    double size;  ///< abs of the dictionary's entry
    Index column;
  };
  struct Along {
    double gain;  ///< of the objective
    double step;  ///< of the multiplier of a basic variable, with its sign
  };
  Along step_along(Index variable, double lower, double upper, double enough);
  double* row(Index i) { return table_.data() + i * stride_; }
  const double* row(Index i) const { return table_.data() + i * stride_; }
  double resting(Index j) const;
  void rest();
  void set_sense(Index j);
  void breakpoints(Index i, double side);
  /// The breakpoint with the least ratio, the first of equals; column -1 when none is left.
  Breakpoint least() const;
  void drop(Index column);
  void find_least(Index chunk);
  bool step(Index i, double stop);
  void pivot(Index i, Index j);
  void refactor();
  void set_costs();

  MatrixD original_;
  Index rows_, columns_, stride_;
  std::vector<double>
      table_;  ///< [rows + 1][stride]: basic = table * nonbasic; the last row is the objective
  std::vector<double> fresh_;
  std::vector<Index> basic_, nonbasic_;  ///< variables
  std::vector<Index> place_;             ///< of a variable: row if >= 0, else -1 - column
  std::vector<double> lower_, upper_;    ///< by variable
  std::vector<char> high_;               ///< by column: rests at its upper limit
  std::vector<double> sense_;  ///< by column: 1 where it may rise, -1 where it may fall, 0 where fixed
  std::vector<double> basic_value_, weight_;
  VectorD cost_;
  std::vector<double> ratio_;  ///< by column; infinite where there is no breakpoint, or none any more
  std::vector<double> chunk_least_;
  const double* ratio_row_ = nullptr;  ///< of the dictionary
  double objective_ = 0;
  Index ray_ = -1;
  double ray_step_ = 0;
  Index pivots_ = 0, since_ = 0;
};

}  // namespace temblor::exact
