#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <temblor/network/types.hpp>

namespace temblor {

/// Values known to about 32 digits: the value lies within `radius` of high + low, [images x units] each, and
/// high is the double nearest to high + low.
struct DoubleDouble {
  MatrixD high;
  MatrixD low;
  MatrixD radius;
};

/// A layer that computes its outputs in double-double, with a limit on the error: sums and products by
/// error-free transformations (Knuth's sum, a product by fused multiply-add; Ogita, Rump, Oishi, SIAM J. Sci.
/// Comput. 26, 2005, algorithm 5.3). Layers that do so derive from it beside Layer; others enclose their
/// outputs by Layer::interval.
class DoubleDoubleLayer {
 public:
  virtual ~DoubleDoubleLayer() = default;
  /// The outputs for any inputs within `in`. out is resized.
  virtual void run(std::span<const DoubleDouble* const> in, const Weights* weights,
                   DoubleDouble& out) const = 0;
};

DoubleDouble double_double(const Interval& values);
/// Rounded outward; all numbers where nothing is known (overflow).
Interval enclosing(const DoubleDouble& values);

/// Outputs W z + b of rows of inputs. With n inputs, S = |b| + |W| |z.high| and u = 2^-53, high + low is off
/// by at most gamma_{n+4}^2 S (theory, section 6).
class DoubleDoubleProduct {
 public:
  /// weight [outputs x inputs], bias [outputs] or empty.
  DoubleDoubleProduct(const Eigen::Ref<const Matrix>& weight, const Eigen::Ref<const Vector>& bias);

  /// What each input adds to the radius, for |W| behind it: its own, and gamma_{n+4}^2 |z.high|.
  MatrixD spread(const DoubleDouble& in) const;
  /// in.high, in.low and spread() of them as in.radius, [rows x inputs] each; out is resized to [rows x
  /// outputs].
  void multiply(const DoubleDouble& in, DoubleDouble& out) const;

 private:
  Index outputs_;
  Index inputs_;
  double rounding_;              ///< gamma_{n+4}^2
  std::vector<double> panels_;   ///< [panel][input][lanes], padded with zeros
  std::vector<double> bias_;     ///< [panel][lanes]
  MatrixD size_;                 ///< |W|
  Eigen::RowVectorXd constant_;  ///< what the bias adds to the radius
};

/// sum of sign_i z_i; missing signs are 1.
void add(std::span<const DoubleDouble* const> in, std::span<const double> signs, DoubleDouble& out);
/// out[to] = factor times the sum of in[from + cell] over the cells, indices into the matrices' values.
void add_cells(const DoubleDouble& in, Index from, std::span<const std::int32_t> cells, double factor,
               DoubleDouble& out, Index to);
/// Element-wise: min(max(z, least), most), and slope z where z < 0. The slope is in [0, 1].
void bend(const DoubleDouble& in, double slope, double least, double most, DoubleDouble& out);

}  // namespace temblor
