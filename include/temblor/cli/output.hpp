#pragma once

#include <string>
#include <vector>

namespace temblor::cli {

/// Refuses, before any work is done, a path where a file of this kind ("temblor-network") could not be put: a
/// missing or read-only directory, a directory itself, or an existing file of another kind, which would be
/// lost. Bad-input errors. A usage error when it is, under any name, one of `inputs`.
void check_output(const std::string& path, const std::string& filetype,
                  const std::vector<std::string>& inputs = {});

/// Whether the file begins as HDF5 files do.
bool is_hdf5(const std::string& path);

/// Usage error when `path` is, under any name, one of the files that the command reads.
void check_not_input(const std::string& path, const std::vector<std::string>& inputs);

}  // namespace temblor::cli
