#pragma once

#include <string>

namespace temblor::testing {

/// A Python that has h5py and numpy, or "" (a line that says so is then printed).
std::string python_with_h5py();

}  // namespace temblor::testing
