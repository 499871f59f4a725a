#pragma once

#include "relaxation.hpp"

namespace temblor::exact {

/// The least and the most that each value of a moving image may be.
struct Ends {
  VectorD least, most;
};
/// Inside the box of `radius` around row n, within the range that the dataset states: `radius` is not
/// exceeded in exact arithmetic.
Ends inner_ends(const Dataset& data, Index n, double radius);

/// A moving image as the layer that a relaxation begins with. `box` holds its values; one that may be of
/// either sign is split where `kinks` is set, that is where weights it meets have a radius.
ImageBase image_base(const Ends& box, const std::vector<char>& kinks);
/// What the first layer reaches from it: low t + low_bias <= p <= high t + high_bias. Where a value of either
/// sign is not split, |x| is replaced by its chord. R is radius and r slack, empty for 0.
Reach image_reach(const ImageBase& base, const Ends& box, const Weights& weights, const Radius* radius);

}  // namespace temblor::exact
