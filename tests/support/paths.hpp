#pragma once

#include <string>

/// Where the tests find things. Only tests/support/paths.cpp knows the build's paths, so that object files of
/// the tests do not depend on them.
namespace temblor::testing {

std::string source_dir();  ///< root of the source tree
std::string binary();      ///< the temblor program
/// A fresh empty directory, removed when the object goes.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace temblor::testing
