#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <support/python.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/cli/help.hpp>
#include <temblor/cli/parse.hpp>
#include <temblor/network/file.hpp>

using namespace temblor;
using temblor::testing::source_dir;
using temblor::testing::TemporaryDirectory;

namespace {

std::string read(const std::string& path) {
  std::ifstream in(path);
  REQUIRE(in);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Lines of a document that are whole commands: "    temblor run ...", comments cut off.
std::vector<std::string> commands_in(const std::string& document) {
  std::vector<std::string> commands;
  std::istringstream lines(document);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("    temblor ")) commands.push_back(line.substr(4, line.find('#') - 4));
  }
  return commands;
}

}  // namespace

TEST_CASE("docs/commands.md is what temblor help --markdown writes") {
  INFO("bring it up to date with: temblor help --markdown > docs/commands.md");
  CHECK(read(source_dir() + "/docs/commands.md") == cli::markdown_reference());
}

TEST_CASE("every command in the documents is one the program takes") {
  for (const auto* name :
       {"/README.md", "/docs/fault-file.md", "/results/demo/README.md", "/results/paper/README.md"}) {
    const auto commands = commands_in(read(source_dir() + name));
    CHECK_FALSE(commands.empty());
    for (const auto& command : commands) {
      INFO(name << ": " << command);
      std::istringstream text(command);
      std::vector<std::string> words;
      for (std::string word; text >> word;) words.push_back(word);
      CHECK_NOTHROW(cli::parse(cli::find_subcommand(words.at(1)), {words.begin() + 2, words.end()}));
    }
  }
}

TEST_CASE("the demo's spec is one the program takes") {
  const auto spec = load_spec(source_dir() + "/results/demo/demo.toml");
  CHECK(spec.attacks.size() >= 3);
  CHECK(spec.bounds.size() >= 2);
}

TEST_CASE("the paper's spec is one the program takes, and its script is one that bash takes") {
  const auto spec = load_spec(source_dir() + "/results/paper/bounds.toml");
  CHECK(spec.attacks.size() == 1);
  CHECK(spec.bounds.size() >= 4);
  CHECK(std::system(("bash -n '" + source_dir() + "/results/paper/run.sh'").c_str()) == 0);
  CHECK(std::system(("bash '" + source_dir() + "/results/paper/run.sh' nonsense 2>/dev/null").c_str()) ==
        2 << 8);
}

TEST_CASE("the spec in docs/spec.md is one the program takes") {
  const std::string document = read(source_dir() + "/docs/spec.md");
  const auto begin = document.find("```toml\n") + 8;
  const auto spec =
      parse_spec(document.substr(begin, document.find("```\n", begin) - begin), "docs/spec.md", "");
  CHECK_NOTHROW(check_complete(spec));
  REQUIRE(spec.attacks.size() == 3);
  CHECK(spec.attacks[0].severity.size() == 5);
  CHECK(spec.attacks[0].layers.size() == 3);
  CHECK(spec.bounds.size() == 2);
}

TEST_CASE("README's lines of Python write a network") {
  const std::string python = temblor::testing::python_with_h5py();
  if (python.empty()) return;
  const std::string readme = read(source_dir() + "/README.md");
  const auto begin = readme.find("```python\n");
  const auto end = readme.find("```\n", begin + 10);
  REQUIRE(end != std::string::npos);
  const TemporaryDirectory directory;
  std::ofstream(directory.file("net.py")) << readme.substr(begin + 10, end - begin - 10);
  REQUIRE(std::system(("cd '" + directory.path() + "' && " + python + " net.py").c_str()) == 0);
  const Network network = load_network(directory.file("net.h5"));
  CHECK(network.layers() == 2);
  CHECK(network.classes() == 10);
}
