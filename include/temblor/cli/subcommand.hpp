#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace temblor::cli {

/// Where a subcommand reads and writes: data on `out`, words on `err`, progress on `err` only when it is a
/// terminal.
struct Streams {
  std::ostream& out;
  std::ostream& err;
  bool terminal = false;
};

/// One option of a subcommand. Help, man page, shell completion and the command reference come from these.
struct Option {
  std::string name;          ///< long name without dashes
  std::string value;         ///< placeholder of its value ("FILE"); "" for a switch
  std::string help;          ///< one line
  std::string initial = {};  ///< default shown in help and used when not given; "" for none
  char letter = 0;           ///< one-letter form, or 0
  bool required = false;
  bool repeat = false;  ///< may be given several times
};

/// One positional argument.
struct Positional {
  std::string name;  ///< "SPEC"
  std::string help;
  bool required = true;
};

/// Checked command-line arguments: unknown options were refused, defaults filled in.
class Arguments {
 public:
  bool given(const std::string& name) const;                       ///< on the command line, not by default
  bool flag(const std::string& name) const;                        ///< a switch was given
  std::optional<std::string> text(const std::string& name) const;  ///< value or default; empty when neither
  std::string required(
      const std::string& name) const;  ///< usage error when there is neither value nor default
  std::vector<std::string> all(const std::string& name) const;  ///< of a repeated option
  std::optional<std::string> positional(const std::string& name) const;

  std::map<std::string, std::vector<std::string>> values;  ///< given options
  std::map<std::string, std::string> defaults;
  std::map<std::string, std::string> positionals;
  std::string command_line;  ///< as typed, shell-quoted, for /provenance and hints
};

/// A subcommand: one file in src/cli and one line in src/cli/table.cpp.
struct Subcommand {
  std::string name;
  std::string help;                   ///< one line
  std::string details;                ///< paragraphs of `temblor help NAME`
  std::vector<std::string> examples;  ///< whole command lines
  std::vector<Positional> positionals;
  std::vector<Option> options;
  int (*run)(const Arguments& arguments,
             const Streams& streams);  ///< returns an exit code; throws temblor::Error
};

const std::vector<Subcommand>& subcommand_table();

/// The whole program in process: parses, runs, prints errors ("temblor: PROBLEM (WHY): CURE") and returns the
/// exit code.
int run(const std::vector<std::string>& arguments, const Streams& streams);

}  // namespace temblor::cli
