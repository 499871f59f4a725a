#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include <support/paths.hpp>

namespace temblor::testing {

std::string source_dir() {
  return TEMBLOR_SOURCE_DIR;
}
std::string binary() {
  return TEMBLOR_BINARY;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "temblor-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary directory");
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace temblor::testing
