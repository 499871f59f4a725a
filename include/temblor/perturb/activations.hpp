#pragma once

#include <string>

#include <temblor/perturb/perturbation.hpp>
#include <temblor/perturb/stored.hpp>

namespace temblor {

/// The network with the outputs of `layers` (after the activation that follows, if one does), and with
/// `image` the image itself, held as codes of the stored format: encoded, decoded, and computed on with. In
/// scaled formats each site has the scale and zero point that its values need on `images` (in per-channel
/// formats one for each channel of a unit shape {channels, rows, columns}, else for each unit), found site by
/// site in the order of the graph, with the earlier ones in place. Infinite values saturate and NaN becomes 0
/// in integers and fixed point. Bad-input error where a value on `images` is not finite.
StoredNetwork hold_activations(const StoredNetwork& stored, const LayerSet& layers, bool image,
                               const Matrix& images);

/// Units of a site.
Index site_units(const Network& held, const ActivationSite& site);
/// Where a unit is: "channel/row/column", or its number.
std::string unit_name(const Shape& shape, Index unit);
/// What a code of one unit stands for.
float activation_value(const Encoded& grid, std::uint32_t code, Index unit);
/// The code of one value; decoded values give their own codes.
std::uint32_t activation_code(const Encoded& grid, float value, Index unit);

}  // namespace temblor
