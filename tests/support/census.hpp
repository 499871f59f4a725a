#pragma once

#include <string>

namespace temblor::testing {

/// Takes the census of a network trained on Fashion-MNIST in one format over `images` test images, and holds
/// `faults` random faults, half of them in the upper bits, against full inference. Skips with a printed line
/// where the set is missing.
void check_census_on_fashion(const std::string& arch, const std::string& format, int images, int faults);

}  // namespace temblor::testing
