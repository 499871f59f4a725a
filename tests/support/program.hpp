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
/// What such a line writes to standard output; fails the test, with the program's words, when the code is
/// another.
std::string expect(int code, const std::string& line);

}  // namespace temblor::testing
