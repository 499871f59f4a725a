#pragma once

#include <string>

#include <temblor/bounds/bound.hpp>

namespace temblor {

/// One network for all images: an upper limit on the MEAN margin drop that a single member of the set can
/// cause (theory, section 4, shared weights). Against the sum over images n of a_n^T W^ z_n the worst W^ of a
/// box takes off R_ij |g_ij|, g_ij = sum_n a_ni z_nj, with equality: what raises one image's term lowers
/// another's. |g| is bounded by its chord sigma g + tau over what the limits of z allow, so the pass goes on
/// with one effective matrix W - R sigma for all images and a constant.
///
/// The margin of an image is its runner-up pair less what any other class may gain on the runner-up, image by
/// image; images for which that gain is large are counted with their own bound instead, whichever choice
/// gives the smallest mean. Never above the mean of the margin drops that `linear` allows image by image,
/// whose pair values this bound repeats.
///
/// Scope: chains of dense layers with ReLU between them, sets that are boxes of weights, and of images: each
/// image then moves for itself. Of other networks the dense end, as `exact`; pair values are then those of
/// `linear` for the tail alone (tail.hpp).
BoundValues universal_bound(const BoundContext& context);
std::string refuses_universal(const Network& network, const ThreatSet& set);

}  // namespace temblor
