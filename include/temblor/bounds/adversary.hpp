#pragma once

#include <vector>

#include <temblor/bounds/moves.hpp>
#include <temblor/network/types.hpp>

namespace temblor {

/// Linear functions v^T z + constant of the values z of one layer, one a row, each for one case (an image, or
/// one subproblem of an image).
struct Forms {
  MatrixD v;              ///< [rows x units]
  VectorD constant;       ///< [rows]
  VectorD size;           ///< [rows]: at least the sum of the magnitudes that went into `constant`
  std::vector<Index> at;  ///< [rows]: the case of each row
  /// [rows], or empty: the largest losses so far to a budget of changes, still to be taken off.
  std::vector<Largest> losses;

  Forms() = default;
  Forms(Index rows, Index units)
      : v(rows, units),
        constant(VectorD::Zero(rows)),
        size(VectorD::Zero(rows)),
        at(static_cast<std::size_t>(rows)) {}
  Index rows() const { return v.rows(); }
};

/// What may happen to the parameters of one linear layer, seen from behind: how much it can take off linear
/// functions of the layer's outputs. Adversaries of one layer add up: each acts in full. Sound in double: an
/// implementation takes at least what exact arithmetic would, up to relative errors of gamma of what it adds
/// to Forms::constant, which goes into Forms::size.
class Adversary {
 public:
  explicit Adversary(Index outputs) : outputs_(outputs) {}
  virtual ~Adversary() = default;
  /// Whether limits of the layer's inputs must be given; if not, they are known not to be negative.
  virtual bool needs_inputs() const { return false; }
  /// Rows of `a` [rows x outputs] are coefficients on the layer's outputs, the same rows of `next` [rows x
  /// inputs] those on its inputs: takes off `next` the most that the adversary can take off a^T W^ z + a^T
  /// b^, as a linear function of z. `inputs` [cases x inputs], indexed by next.at, or null.
  virtual void take(const MatrixD& a, const Interval* inputs, Forms& next) const = 0;
  /// The same where row i of a would be e_k or -e_k, k = units[i].
  virtual void take_units(const std::vector<Index>& units, const Interval* inputs, Forms& next) const;
  /// Takes off `p` [rows x outputs] the derivative by `a` of what take() takes, at inputs `z` [rows x
  /// inputs]: p = W z + b becomes the outputs that the worst parameters for `a` give. No care for rounding.
  virtual void worst(const MatrixD& a, const MatrixD& z, const Interval* inputs, const std::vector<Index>& at,
                     MatrixD& p) const = 0;

 private:
  Index outputs_;  ///< of the layer
};

/// A box around each parameter: abs(W^ - W) <= R, abs(b^ - b) <= r, for inputs that are not negative: it
/// takes abs(a)^T (R z + r) (theory, section 4).
///
/// It also takes what rounding the product a^T W may lose, for every layer, R = 0 or not: with R' = (R + 2
/// gamma |W|) (1 + 4 gamma), the computed a^T W - |a|^T R' is never above the exact a^T W - |a|^T R.
class BoxAdversary : public Adversary {
 public:
  /// `radius` null: rounding alone.
  BoxAdversary(const MatrixD& weight, const Radius* radius);
  void take(const MatrixD& a, const Interval* inputs, Forms& next) const override;
  void take_units(const std::vector<Index>& units, const Interval* inputs, Forms& next) const override;
  void worst(const MatrixD& a, const MatrixD& z, const Interval* inputs, const std::vector<Index>& at,
             MatrixD& p) const override;

 private:
  double uniform_ = 0;  ///< R' where it is the same for every weight
  MatrixD radius_;      ///< R' otherwise [outputs x inputs]
  VectorD slack_;       ///< r [outputs]; empty: 0
};

/// l2 balls around a layer's parameters. It takes (l2 ||a||_2 + row ||a||_1) ||z||_2 with the norm of z
/// bounded by the chord of z^2 over its limits [l, u] (theory, section 4):
///   ||z||_2 <= s / 2 + (sum_j (l_j + u_j) z_j - l_j u_j) / (2 s),   s = ||(l + u) / 2||_2.
/// With `biases`, ||(z, 1)||_2.
class NormAdversary : public Adversary {
 public:
  NormAdversary(Index outputs, double l2, double row, bool biases)
      : Adversary(outputs), l2_(l2), row_(row), biases_(biases) {}
  bool needs_inputs() const override { return true; }
  void take(const MatrixD& a, const Interval* inputs, Forms& next) const override;
  void worst(const MatrixD& a, const MatrixD& z, const Interval* inputs, const std::vector<Index>& at,
             MatrixD& p) const override;
  /// l2 ||a||_2 + row ||a||_1, rounded up, [rows].
  VectorD weight(const MatrixD& a) const;

 private:
  double l2_;
  double row_;
  bool biases_;
};

/// Each row's losses to a change of one parameter of a layer, for coefficients a [rows x outputs] on its
/// outputs, images or cases `at` and magnitudes abs(z) <= `largest` [cases x inputs] of its inputs: added to
/// `losses`, one a row. `signs`: the inputs are not negative, `largest` their upper limits.
void budget_losses(const Moves& moves, int layer, const MatrixD& a, const MatrixD& largest, bool signs,
                   const std::vector<Index>& at, std::vector<Largest>& losses);

}  // namespace temblor
