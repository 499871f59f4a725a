#include <sstream>
#include <stdexcept>

#include <catch2/catch.hpp>
#include <support/program.hpp>

#include <temblor/base/error.hpp>
#include <temblor/cli/help.hpp>
#include <temblor/cli/parse.hpp>

using namespace temblor;
using namespace temblor::cli;
using temblor::testing::run_line;
using temblor::testing::run_program;

namespace {

const Subcommand shake{
    .name = "shake",
    .help = "shakes",
    .details = "Shakes.",
    .examples = {"temblor shake FILE"},
    .positionals = {{"FILE", "what to shake", true}, {"MORE", "and this", false}},
    .options = {{.name = "eps", .value = "LIST", .help = "how hard", .initial = "1e-3", .letter = 'e'},
                {.name = "epochs", .value = "N", .help = "how long"},
                {.name = "json", .value = "", .help = "as JSON"},
                {.name = "set", .value = "K=V", .help = "anything", .repeat = true}},
    .run = nullptr};

std::string problem(const std::vector<std::string>& words) {
  try {
    parse(shake, words);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("options in every form, defaults, repeats, positionals anywhere") {
  const auto arguments =
      parse(shake, {"a.h5", "--eps=2e-3", "--set", "a=1", "--json", "--set", "b=2", "--", "--odd"});
  CHECK(arguments.positional("FILE") == "a.h5");
  CHECK(arguments.positional("MORE") == "--odd");
  CHECK(arguments.text("eps") == "2e-3");
  CHECK(arguments.given("eps"));
  CHECK(arguments.flag("json"));
  CHECK(arguments.all("set") == std::vector<std::string>{"a=1", "b=2"});
  const auto defaults = parse(shake, {"a.h5"});
  CHECK(defaults.text("eps") == "1e-3");
  CHECK_FALSE(defaults.given("eps"));
  CHECK_FALSE(defaults.text("epochs").has_value());
  CHECK_THROWS_AS(defaults.required("epochs"), Error);
  CHECK(parse(shake, {"a.h5", "-e", "-3"}).text("eps") == "-3");
  CHECK(parse(shake, {"a.h5", "-e5"}).text("eps") == "5");
}

TEST_CASE("a wrong command line is refused with its cure") {
  CHECK(problem({}) == "no FILE is given (what to shake): see 'temblor help shake'");
  CHECK(problem({"f", "--epz", "1"}) == "unknown option '--epz' of 'temblor shake': did you mean '--eps'?");
  CHECK(problem({"f", "--ep", "1"}).find("unknown option '--ep'") == 0);  // no guessing from abbreviations
  CHECK(problem({"f", "-q"}).find("unknown option '-q'") == 0);
  CHECK(problem({"f", "--eps"}).find("option '--eps' has no value") == 0);
  CHECK(problem({"f", "--eps", "--json"}).find("option '--eps' has no value") == 0);
  CHECK(problem({"f", "--eps="}).find("option '--eps' has no value") == 0);
  CHECK(problem({"f", "--json=1"}).find("option '--json' was given a value") == 0);
  CHECK(problem({"f", "--eps", "1", "--eps", "2"}).find("option '--eps' is given twice") == 0);
  CHECK(problem({"f", "g", "h"}).find("stray argument 'h'") == 0);
}

TEST_CASE("the command line is kept as a shell would need it") {
  CHECK(parse(shake, {"it's", "--set", "a b", "--eps", "1e-3"}).command_line ==
        "temblor shake 'it'\\''s' --set 'a b' --eps 1e-3");
}

TEST_CASE("subcommands: missing, misspelt, option first") {
  CHECK(run_line("").code == 2);
  CHECK(run_line("").err == "temblor: no subcommand is given: 'temblor help' lists them\n");
  const auto misspelt = run_line("hlep");
  CHECK(misspelt.code == 2);
  CHECK(misspelt.out.empty());
  CHECK(misspelt.err == "temblor: unknown subcommand 'hlep': did you mean 'help'?\n");
  CHECK(run_line("--json help").code == 2);
  CHECK(run_line("--version x").code == 2);
  CHECK(run_line("help nothing-like-this").code == 2);
  CHECK(run_line("help --man --markdown").code == 2);
  CHECK(run_line("help help --man").code == 2);
}

TEST_CASE("help of the program and of every subcommand, --help anywhere") {
  CHECK(run_line("--help").out == overview());
  CHECK(run_line("help").out == overview());
  for (const auto& command : subcommand_table()) {
    CHECK(overview().find("  " + command.name) != std::string::npos);
    const auto help = run_line("help " + command.name);
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK(help.out == help_text(command));
    CHECK(run_program({command.name, "--no-such-option", "--help"}).out == help.out);
    for (const auto& option : command.options) CHECK(help.out.find("--" + option.name) != std::string::npos);
    for (const auto& line : {help.out}) CHECK(line.find('\t') == std::string::npos);
  }
}

TEST_CASE("every example in the tables is a valid command line") {
  for (const auto& command : subcommand_table()) {
    for (const auto& example : command.examples) {
      INFO(example);
      std::istringstream text(example.substr(0, example.find(" > ")));
      std::vector<std::string> words;
      for (std::string word; text >> word;) words.push_back(word);
      REQUIRE(words.size() >= 2);
      CHECK(words[0] == "temblor");
      CHECK(words[1] == command.name);
      CHECK_NOTHROW(parse(command, {words.begin() + 2, words.end()}));
    }
  }
}

TEST_CASE("version names the build") {
  const auto version = run_line("--version");
  CHECK(version.code == 0);
  for (const auto* part : {"temblor ", "compiler: ", "Eigen 3", "oneTBB 20", "HDF5 1"}) {
    CHECK(version.out.find(part) != std::string::npos);
  }
}

TEST_CASE("manual page and completion come from the same tables") {
  const auto man = run_line("help --man");
  const auto completion = run_line("help --bash-completion");
  CHECK(man.code == 0);
  CHECK(completion.code == 0);
  for (const auto& command : subcommand_table()) {
    CHECK(man.out.find(".SS temblor " + command.name) != std::string::npos);
    for (const auto& option : command.options) {
      CHECK(completion.out.find("--" + option.name) != std::string::npos);
    }
  }
}
