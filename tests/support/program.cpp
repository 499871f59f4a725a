#include <sstream>

#include <catch2/catch.hpp>
#include <support/program.hpp>

#include <temblor/cli/subcommand.hpp>

namespace temblor::testing {

Outcome run_program(const std::vector<std::string>& words) {
  std::ostringstream out;
  std::ostringstream err;
  Outcome outcome;
  outcome.code = cli::run(words, {out, err, false});
  outcome.out = out.str();
  outcome.err = err.str();
  return outcome;
}

Outcome run_line(const std::string& line) {
  std::istringstream text(line);
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(word);
  return run_program(words);
}

std::string expect(int code, const std::string& line) {
  const auto outcome = run_line(line);
  INFO(line << "\n" << outcome.err);
  REQUIRE(outcome.code == code);
  return outcome.out;
}

}  // namespace temblor::testing
