#pragma once

#include <string>
#include <utility>
#include <vector>

namespace temblor {

/// What this binary was made from and with: `temblor --version`, and /provenance of result files.
struct BuildInfo {
  std::string version;   ///< "0.1.0"
  std::string git;       ///< git describe of the source tree, "unknown" outside a repository
  std::string compiler;  ///< "GNU 12.2.0"
  std::string flags;     ///< flags that decide the arithmetic
  std::vector<std::pair<std::string, std::string>> libraries;  ///< name, version
};

const BuildInfo& build_info();

}  // namespace temblor
