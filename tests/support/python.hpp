#pragma once

#include <string>

namespace temblor::testing {

/// A Python that imports `modules` ("h5py, numpy"), or "": then a line that says so and names `packages` is
/// printed.
std::string python_with(const std::string& modules, const std::string& packages);
/// A Python that has h5py and numpy, or "" (a line that says so is then printed).
std::string python_with_h5py();

}  // namespace temblor::testing
