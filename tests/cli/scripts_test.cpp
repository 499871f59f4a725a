#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <support/paths.hpp>

using temblor::testing::source_dir;
using temblor::testing::TemporaryDirectory;

namespace {

int shell(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str());
}

void write_source(const std::string& path, const std::string& include) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << "#include <" << include << ">\n";
}

}  // namespace

TEST_CASE("the sources keep the module order") {
  CHECK(shell("bash '" + source_dir() + "/scripts/check_modules.sh'") == 0);
}

TEST_CASE("the module check sees includes that point upward, sideways, or to a foreign library") {
  const TemporaryDirectory directory;
  const auto broken = [&](const std::string& file, const std::string& include) {
    const std::string path = directory.file("src/" + file);
    write_source(path, include);
    const bool result =
        shell("bash '" + source_dir() + "/scripts/check_modules.sh' '" + directory.path() + "'") != 0;
    std::filesystem::remove(path);
    return result;
  };
  std::filesystem::create_directories(directory.file("include/temblor"));
  CHECK_FALSE(broken("cli/a.cpp", "temblor/base/b.hpp"));
  CHECK_FALSE(broken("cli/a.cpp", "boost/program_options.hpp"));
  CHECK(broken("base/a.cpp", "temblor/cli/b.hpp"));
  CHECK(broken("bounds/a.cpp", "temblor/attacks/b.hpp"));
  CHECK(broken("base/a.cpp", "temblor/unknown/b.hpp"));
  CHECK(broken("unknown/a.cpp", "temblor/base/b.hpp"));
  CHECK(broken("bounds/a.cpp", "H5Fpublic.h"));
  CHECK(broken("bounds/a.cpp", "hdf5.h"));
  CHECK(broken("attacks/a.cpp", "nlohmann/json.hpp"));
  CHECK(broken("network/a.cpp", "nlohmann/json.hpp"));
  CHECK_FALSE(broken("network/keras/a.cpp", "nlohmann/json.hpp"));
}
