#include <array>
#include <cstdio>
#include <cstdlib>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <sys/wait.h>

#include <temblor/cli/help.hpp>

using temblor::testing::binary;

namespace {

struct Result {
  int code;
  std::string text;  ///< everything that reached the pipe
};

/// Runs a bash command line in which $T is the program.
Result bash(const std::string& command) {
  const std::string line = "T='" + binary() + "'; export T; bash -c '" + command + "'";
  std::FILE* pipe = popen(line.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Result result{};
  std::array<char, 4096> chunk{};
  for (std::size_t n = 0; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;)
    result.text.append(chunk.data(), n);
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace

TEST_CASE("the program: data on stdout, words on stderr, exit codes") {
  const auto help = bash("$T help");
  CHECK(help.code == 0);
  CHECK(help.text == temblor::cli::overview());
  const auto wrong = bash("$T hlep 2>/dev/null");
  CHECK(wrong.code == 2);
  CHECK(wrong.text.empty());
  CHECK(bash("$T hlep 2>&1 >/dev/null").text.starts_with("temblor: unknown subcommand"));
}

TEST_CASE("a closed pipe is an error, not a signal and not silence") {
  // The reader is gone before the program starts to write.
  const auto result = bash("exec 3> >(exec true); wait $!; $T help --markdown 2>&1 >&3; echo code $?");
  CHECK(result.text.find("standard output cannot be written (Broken pipe)") != std::string::npos);
  CHECK(result.text.find("code 3") != std::string::npos);
  CHECK(bash("$T help | head -n 1").text.starts_with("temblor "));
}

TEST_CASE("a full disk under standard output is an error") {
  const auto result = bash("$T help 2>&1 >/dev/full; echo code $?");
  CHECK(result.text.find("No space left on device") != std::string::npos);
  CHECK(result.text.find("code 3") != std::string::npos);
}

TEST_CASE("a limit on file sizes is an error with its reason, not a signal") {
  const temblor::testing::TemporaryDirectory directory;
  const auto net = directory.file("net.h5");
  const auto images = std::string(" --dataset synthetic:classes=3,features=8,n=3000 ");
  REQUIRE(bash("$T train" + images + "--arch 8-4-3 --epochs 1 -o " + net + " 2>&1").code == 0);
  const auto result = bash("ulimit -f 40; $T bound --network " + net + images + "--eps 1e-3 -o " +
                           directory.file("bounds.h5") + " 2>&1; echo code $?");
  CHECK(result.text.find("File too large") != std::string::npos);
  CHECK(result.text.find("code 3") != std::string::npos);
  CHECK(bash("ls " + directory.path()).text == "net.h5\n");
}

TEST_CASE("bash completes subcommands and options") {
  const auto complete = [](const std::string& words, const std::string& count) {
    return bash("source <($T help --bash-completion); COMP_WORDS=(" + words + "); COMP_CWORD=" + count +
                "; _temblor; echo \"${COMPREPLY[*]}\"")
        .text;
  };
  CHECK(complete("temblor exp", "1") == "export\n");
  CHECK(complete("temblor export --ta", "2") == "--table\n");
}
