#pragma once

#include <string>

namespace temblor::cli {

/// Refuses, before any work is done, a path where a file of this kind ("temblor-network") could not be put: a
/// missing or read-only directory, a directory itself, or an existing file of another kind, which would be
/// lost. Bad-input errors.
void check_output(const std::string& path, const std::string& filetype);

}  // namespace temblor::cli
