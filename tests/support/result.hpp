#pragma once

#include <string>

namespace temblor::testing {

/// Writes a small result file by hand: 2 points (weight-pgd per sample, bit-flip int8), 3 trials, 2 images, 3
/// classes, the bound "interval" on the first point, one check with the given number of violations.
void make_result(const std::string& path, int violated = 0);
/// The same network and data with bounds alone, for the linf set of that eps.
void make_bounds(const std::string& path, double eps = 1e-3);

}  // namespace temblor::testing
