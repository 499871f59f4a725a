#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace temblor {

/// Exit codes of the program; every error carries the one it ends with.
enum class Exit : int { ok = 0, check_failed = 1, usage = 2, bad_input = 3, internal = 4, interrupted = 130 };

/// An error in one grammar: "PROBLEM (WHY): CURE". `problem` names the file, line or key; `why` says why it
/// is one; `cure` says what to do. `why` and `cure` may be empty.
class Error : public std::runtime_error {
 public:
  Error(Exit code, std::string_view problem, std::string_view why, std::string_view cure);
  Exit code() const noexcept { return code_; }

 private:
  Exit code_;
};

/// Throws Error(Exit::usage): the command line or a campaign spec is wrong.
[[noreturn]] void usage_error(std::string_view problem, std::string_view why, std::string_view cure);
/// Throws Error(Exit::bad_input): a file cannot be read, or is not what it should be.
[[noreturn]] void input_error(std::string_view problem, std::string_view why, std::string_view cure);
/// Throws Error(Exit::internal): a promise this program made to itself is broken.
[[noreturn]] void internal_error(std::string_view problem, std::string_view why = {});

/// Contract check in every build: throws internal_error when `condition` is false.
inline void ensure(bool condition, std::string_view promise) {
  if (!condition) internal_error(promise, "broken contract");
}

}  // namespace temblor
