#pragma once

#include <string>
#include <vector>

namespace temblor::testing {

/// What a run of the program left behind.
struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

/// Runs the program in process: `temblor WORDS...`.
Outcome run_program(const std::vector<std::string>& words);
/// The same with a command line that a shell would split at blanks (no quotes).
Outcome run_line(const std::string& line);

}  // namespace temblor::testing
