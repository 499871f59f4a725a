#pragma once

#include <optional>
#include <vector>

#include <temblor/bounds/adversary.hpp>
#include <temblor/bounds/taps.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// A layer whose parameters are shared by positions (conv2d, scale), and what may happen to them, seen from
/// behind.
///
/// For coefficients a on the outputs [channels x positions] of one image, a change dK of the kernel and db of
/// the biases moves a^T (W^ * z + b^) by
///   sum_ck dK_ck g_ck(z) + sum_c db_c sum_p a_cp,      g_ck(z) = sum_p a_cp z_(tap k of position p),
/// since every entry of a kernel is chosen once for all positions. With limits of z, g lies in [g_l, g_u]:
/// - a box takes exactly sum R_ck |g_ck|, and |g| lies below its chord sigma g + tau;
/// - an l2 ball takes radius ||g||_2 (for every row: radius sum_c ||g_c||_2; where biases move, sum_p a_cp is
///   one entry more of g_c), and for every s > 0
///     ||g||_2 <= s / 2 + (sum (g_l + g_u) g - g_l g_u) / (2 s),   s^2 = sum (g_l^2 + g_u^2) / 2 taken;
/// - one change of a budget takes at most its size times max |g_ck|, a flip that of the sign that lowers.
/// So the layer goes on with a kernel W - dK of the row's own and a constant (theory, section 4, shared
/// kernels). Exact where z is known, a box also where no g can change its sign; inputs of any sign.
class SharedKernel {
 public:
  /// `radius` null: no box. `input` is the shape of the layer's input. Of `moves`, the balls of this layer.
  SharedKernel(const Network::Node& node, const Shape& input, const Weights& weights, const Radius* radius,
               const Moves& moves);

  /// Adds coefficients on the outputs [rows x outputs], for cases next.at, as coefficients on the inputs to
  /// next.v, less what box and balls take; constants go to next.constant and, in magnitude, to next.size.
  /// `inputs` [cases x inputs] are limits of the layer's inputs. Losses to the budget go to `losses`, one a
  /// row, where `allowance` says that it reaches this layer.
  void take(const MatrixD& a, const Interval& inputs, const Allowance& allowance, Forms& next,
            std::vector<Largest>& losses) const;
  /// What box and balls take at the most where inputs within these limits are all that is left, [rows]; exact
  /// where they are known. No care for rounding.
  VectorD loss_at(const MatrixD& a, const Interval& inputs, const std::vector<Index>& at,
                  const Allowance& allowance, std::vector<Largest>& losses) const;
  /// The derivative by `a` of what take() makes of it where the inputs are z [rows x inputs]: p [rows x
  /// outputs], the outputs that the worst kernels give, chords included, the budget left out; 0 at positions
  /// without a coefficient. No care for rounding.
  void worst(const MatrixD& a, const MatrixD& z, const Interval& inputs, const std::vector<Index>& at,
             MatrixD& p) const;
  /// Roundings of the longest sum that take() forms.
  Index terms() const;

 private:
  /// What a group's window sees of one case at every position.
  struct Seen {
    Index at = -1;
    MatrixD middle;  ///< [positions x depth]
    MatrixD half;    ///< half the width of the limits
    bool wide = false;
  };

  /// One row of coefficients; g and its like [channels x depth].
  struct Row {
    std::vector<std::vector<Index>> positions;  ///< a group each: where any of its channels has a coefficient
    std::vector<MatrixD> own;  ///< a group each: the coefficients there, [channels x positions]
    VectorD sums, sizes;       ///< of the coefficients and their magnitudes, [channels]
    Interval g;                ///< or empty
  };

  void look(const Interval& inputs, Index n, Index group, Seen& seen) const;
  /// Coefficients of one row, the limits of g where `wanted`.
  void open(const MatrixD& a, Index row, const Interval& inputs, Index n, bool wanted,
            std::vector<Seen>& seen, Row& to) const;
  void take_box(const Row& row, MatrixD& kernel, double& constant, double& size) const;
  void take_balls(const Row& row, MatrixD& kernel, double& constant, double& size) const;
  /// ||g_c||_2 at the most, [channels].
  VectorD norms(const Row& row) const;

  MatrixD weight_;  ///< [channels x depth]
  VectorD bias_;    ///< [channels], 0 where there is none
  MatrixD radius_;  ///< [channels x depth], or empty: no box
  VectorD slack_;   ///< [channels], or empty
  double l2_ = 0;
  double row_ = 0;
  bool ball_biases_ = false;
  Taps taps_;
};

}  // namespace temblor
