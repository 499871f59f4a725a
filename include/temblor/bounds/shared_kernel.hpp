#pragma once

#include <cstdint>
#include <vector>

#include <temblor/bounds/adversary.hpp>
#include <temblor/network/network.hpp>
#include <temblor/network/window.hpp>

namespace temblor {

/// A layer whose parameters are shared by positions (conv2d, scale), and a box around them, seen from behind.
///
/// For coefficients a on the outputs [channels x positions] of one image, the box takes exactly
///   sum_ck R_ck |g_ck(z)| + sum_c r_c |sum_p a_cp|,      g_ck(z) = sum_p a_cp z_(tap k of position p)
/// off a^T (W^ * z + b^), since every entry of a kernel is chosen once for all positions. With limits of z,
/// g lies in [g_l, g_u] and |g| below its chord sigma g + tau: the layer goes on with the kernel W - R sigma,
/// a row's own, and the constant - sum R tau (theory, section 4, shared kernels). Exact where z is known and
/// where no g can change sign; inputs of any sign.
class SharedKernel {
 public:
  /// Whether the layer is of such a kind.
  static bool covers(const Layer& layer);
  /// `radius` null: no box. `input` is the shape of the layer's input.
  SharedKernel(const Network::Node& node, const Shape& input, const Weights& weights, const Radius* radius);

  /// Adds coefficients on the outputs [rows x outputs], for cases next.at, as coefficients on the inputs to
  /// next.v, less what the box takes; constants go to next.constant and, in magnitude, to next.size. `inputs`
  /// [cases x inputs] are limits of the layer's inputs.
  void take(const MatrixD& a, const Interval& inputs, Forms& next) const;
  /// What the box takes at the most where inputs within these limits are all that is left, [rows]; exact
  /// where they are known. No care for rounding.
  VectorD loss_at(const MatrixD& a, const Interval& inputs, const std::vector<Index>& at) const;
  /// The derivative by `a` of what take() makes of it where the inputs are z [rows x inputs]: p [rows x
  /// outputs], the outputs that the worst kernels give, chords included; 0 at positions without a
  /// coefficient. No care for rounding.
  void worst(const MatrixD& a, const MatrixD& z, const Interval& inputs, const std::vector<Index>& at,
             MatrixD& p) const;
  /// Roundings of the longest sum that take() forms.
  Index terms() const;

 private:
  struct Seen;
  void look(const Interval& inputs, Index n, Index group, Seen& seen) const;
  /// Positions at which any channel of the group has a coefficient, and these coefficients.
  MatrixD active(const MatrixD& a, Index row, Index group, std::vector<Index>& positions) const;

  MatrixD weight_;  ///< [channels x depth]
  VectorD bias_;    ///< [channels], 0 where there is none
  MatrixD radius_;  ///< [channels x depth], or empty: no box
  VectorD slack_;   ///< [channels], or empty
  Index groups_ = 1;
  Index positions_ = 0;
  Index plane_ = 0;                 ///< inputs of one group
  std::vector<std::int32_t> taps_;  ///< [positions x depth]: input of the group's first, -1: padding
};

}  // namespace temblor
