#pragma once

#include <string>

#include <temblor/bounds/bound.hpp>

namespace temblor {

/// Norm-product bound for dense chains, after Tsai, Hsu, Yu, Chen, arXiv 2103.02200, Theorems 1 and 2, in the
/// form that is sound when weights change sign (theory, section 2). With d_0 = 0 and, for every dense layer
/// k,
///   d_k = norm_{1,inf}((W^k)^T) d_{k-1} + max_i (R^k u^{k-1} + r^k)_i,      u^k = min(abs(z^k) + d_k,
///   interval bound),
/// the pair margin f^{yj} moves by at most  ||W^L_y - W^L_j||_1 d_{L-1} + (R^L u + r^L)_y + (R^L u + r^L)_j.
/// Untouched layers have R = 0, so one layer, any subset and all layers are the same recursion. Activations
/// are element-wise, monotone and 1-Lipschitz; inputs and activations may have any sign. Cost: one forward
/// pass in double and the intervals. Refuses networks that are not such chains, l2 and bit sets.
BoundValues norm_product(const BoundContext& context);

/// The same walk with one d a unit (theory, section 2, vector form): d^k = abs(W^k) d^{k-1} + R^k u^{k-1} +
/// r^k, after the activation never more than the interval bound lets the unit move (0 for a dead unit); drop
/// <= abs(W^L_y - W^L_j) . d^{L-1} + (R^L u + r^L)_y + (R^L u + r^L)_j. Never above norm_product.
BoundValues norm_vector(const BoundContext& context);

std::string refuses_norm(const Network& network, const ThreatSet& set);

}  // namespace temblor
