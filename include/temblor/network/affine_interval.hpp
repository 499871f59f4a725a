#pragma once

#include <temblor/network/types.hpp>

namespace temblor {

/// An upper limit on gamma_n = n u / (1 - n u), u = 2^-53: the relative error of a double sum of products
/// with at most n roundings, in any order (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
/// section 3.1). One per cent larger, so that evaluating an error term in double needs no care of its own. n
/// < 2^43.
double gamma64(Index n);
/// The same for float, u = 2^-24; n < 2^20. Infinite beyond: nothing is promised.
double gamma32(Index n);

/// Encloses A^ z + b^ for every z in `in`, every A^ with abs(A^ - weight) <= R and b^ with abs(b^ - bias) <=
/// r (null radius: R = r = 0). weight is [outputs x inputs], bias [outputs] or empty (zero); in and out are
/// [images x inputs] and [images x outputs]. out is resized.
///
/// Per output and image the result is the exact hull (theory, section 3, extended to inputs of any sign):
///   up  = b + r + sum_j max over z_j in {l_j, u_j} of (A_j z_j + R_j abs(z_j)),    low likewise with min and
///   -R,
/// because A_j z + R_j abs(z) is convex in z. Non-negative inputs are done as matrix products with the
/// midpoint m and half-width h: up = b + r + (A + R) m + abs(A + R) h, low = b - r + (A - R) m - abs(A - R)
/// h. Where the inputs are known up to rounding (width below 1e-10 of the largest norm_2 of an image) the
/// width enters through the Cauchy-Schwarz inequality instead.
///
/// Sound in double: everything is widened by gamma_n (norm_2(abs(A_i) + R_i) norm_2(max(abs(l), abs(u))) +
/// abs(b) + r).
void affine_interval(const MatrixD& weight, const VectorD& bias, const Radius* radius, const Interval& in,
                     Interval& out);

/// Upper limits on sum_j R_j abs(z_j) + r, [images x outputs], for magnitudes abs(z) <= `magnitude` [images x
/// inputs]: how far a layer's outputs move when its parameters do and its inputs do not. Rounded outward.
MatrixD radius_reach(const Radius& radius, Index outputs, const MatrixD& magnitude);

}  // namespace temblor
