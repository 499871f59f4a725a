#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor::cli {

bool is_hdf5(const std::string& path) {
  const std::string signature("\211HDF\r\n\032\n", 8);
  std::string head(8, '\0');
  std::ifstream in(path, std::ios::binary);
  return in.read(head.data(), 8) && head == signature;
}

void check_not_input(const std::string& path, const std::vector<std::string>& inputs) {
  for (const auto& input : inputs) {
    std::error_code missing;
    if (std::filesystem::equivalent(path, input, missing))
      usage_error("cannot write '" + path + "'", "this command reads it", "name another file");
  }
}

void check_output(const std::string& path, const std::string& filetype,
                  const std::vector<std::string>& inputs) {
  namespace fs = std::filesystem;
  const std::string problem = "cannot write '" + path + "'";
  if (path.empty()) usage_error("output file ''", "it has no name", "name a file");
  check_not_input(path, inputs);
  fs::path directory = fs::path(path).parent_path();
  if (directory.empty()) directory = ".";
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    input_error(problem, "directory '" + directory.string() + "' does not exist",
                "make it, or write elsewhere");
  }
  if (::access(directory.c_str(), W_OK | X_OK) != 0) {
    input_error(problem, "directory '" + directory.string() + "' is read-only for this user",
                "write elsewhere");
  }
  if (!fs::exists(path, ignored)) return;
  if (!fs::is_regular_file(path, ignored))
    input_error(problem, "it exists and is not a file", "name another file");
  std::string found;
  try {
    found = hdf5::File::open(path, hdf5::File::Mode::read).text("filetype").value_or("");
  } catch (const Error&) {  // not HDF5: surely another kind
  }
  if (found != filetype) {
    input_error(problem, "it exists and is not a " + filetype + " file",
                "name another file, or remove it first");
  }
}

}  // namespace temblor::cli
