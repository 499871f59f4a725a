#pragma once

#include "boxed_lp.hpp"

#include <vector>

#include <temblor/bounds/enclosure.hpp>

namespace temblor::exact {

/// The pre-activations that a box reaches from activations z >= 0 (theory, section 4b), one layer:
/// low z + low_bias <= p <= high z + high_bias, coefficients rounded outward.
struct Reach {
  MatrixD low, high;  ///< [units x inputs]
  VectorD low_bias, high_bias;
};

/// Pre-activations of one hidden layer of one image.
struct Limits {
  VectorD lower, upper;
};

/// A moving image as a layer of numbers t >= 0: value j is offset(j) + t_j. Where |x_j| has a kink that
/// counts, x_j = t_j - t' with a second number t' behind those of all values; one of the two is 0.
struct ImageBase {
  VectorD offset;            ///< [values]
  std::vector<Index> split;  ///< values with a second number, in their order
  Limits limits;             ///< of t [values + split.size()]
};

/// What is worked out twice: with the box itself, and with the box that float32 arithmetic makes of it.
struct Reading {
  const std::vector<Reach>* reach;   ///< by hidden layer; that of the base layer and before is not used
  std::vector<Limits> limits;        ///< by hidden layer
  const ImageBase* image = nullptr;  ///< the base layer when it is a moving image, the same in all readings
};

/// A hidden unit that is not switched off for good; or a split value of a moving image, on where it is
/// positive, off where it is negative.
struct Unit {
  std::size_t layer;
  Index unit;
  Index column;                              ///< its activation
  Index below = -1, chord = -1, above = -1;  ///< rows; -1 where there is none
  /// The variable that is limited further once the unit is known to be on: row `above`, or the second number
  /// of a split value.
  Index gate = -1;

  /// Whether there is something to decide.
  bool open() const { return chord >= 0; }
};

/// Upper limits of a unit's gate: `on` when the unit is known to be active, `open` otherwise.
struct Above {
  double on, open;
};

/// The box of one reading's program: limits of its columns and rows, and its matrix.
struct Program {
  MatrixD rows;                   ///< [rows x columns]
  VectorD lower, upper;           ///< [columns + rows]
  VectorD row_size, column_size;  ///< largest magnitudes: sum |a_ij| |x_j| (and the row's limits), |x_j|
  std::vector<Above> above;       ///< by unit
};

/// Linear relaxation of hidden layers base..top of one image for one or two readings, with the same columns
/// and rows in each. Columns are activations z >= 0. The base layer's fill a box; the others obey, unit by
/// unit,
///   below  z >= low z' + low_bias
///   chord  z <= k (high z' + high_bias) + max(u (1 - k), -k l),  k = u / (u - l)
///   above  z <= high z' + high_bias                              once the unit is known to be active
/// A unit that is known to be off has z <= 0. A split value of the image, x = t - t' in [l, u], obeys
///   chord  t + (u / -l) t' <= u
/// and t' <= 0 once it is known to be on.
class Relaxation {
 public:
  Relaxation(const std::vector<Reading>& readings, std::size_t base, std::size_t top);

  const std::vector<Program>& programs() const { return programs_; }
  const std::vector<Unit>& units() const { return units_; }
  /// Of a unit; -1 where it is off for good.
  Index column(std::size_t layer, Index unit) const;
  /// The base layer when it is a moving image; null otherwise.
  const ImageBase* image() const { return image_; }
  /// Coefficients on the activations of layer `top`, spread over the columns.
  VectorD spread(const VectorD& on_top) const;
  /// The first reading's program, in the basis that the backward pass of section 4 has for `cost`.
  BoxedLp start(const VectorD& cost) const;

  /// A lower limit of cost^T x over a program with other limits, for any y, rounding included.
  static double limit(const Program& program, const VectorD& cost, const VectorD& lower, const VectorD& upper,
                      const VectorD& y);
  /// The multipliers that the backward pass gives to `cost`.
  VectorD backward(const VectorD& cost) const;

 private:
  std::size_t base_, top_;
  std::vector<std::vector<Index>> column_of_;  ///< [layer - base][unit]
  std::vector<Unit> units_;                    ///< of the base layer only split values, which come first
  const ImageBase* image_;
  std::vector<Program> programs_;
};

/// a rounded up (down) far enough to cover a few operations on numbers of its size.
double above(double a, double size);
double below(double a, double size);

/// Tightens the limits of hidden layer `layer` for every unit that they leave unstable, by linear programs
/// over the layers before; `pivots` bounds each program's work.
void tighten(std::vector<Reading>& readings, std::size_t base, std::size_t layer, Index pivots);

}  // namespace temblor::exact
