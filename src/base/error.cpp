#include <temblor/base/error.hpp>

namespace temblor {
namespace {

std::string compose(std::string_view problem, std::string_view why, std::string_view cure) {
  std::string text(problem);
  if (!why.empty()) text.append(" (").append(why).append(")");
  if (!cure.empty()) text.append(": ").append(cure);
  return text;
}

}  // namespace

Error::Error(Exit code, std::string_view problem, std::string_view why, std::string_view cure)
    : std::runtime_error(compose(problem, why, cure)), code_(code) {}

void usage_error(std::string_view problem, std::string_view why, std::string_view cure) {
  throw Error(Exit::usage, problem, why, cure);
}

void input_error(std::string_view problem, std::string_view why, std::string_view cure) {
  throw Error(Exit::bad_input, problem, why, cure);
}

void internal_error(std::string_view problem, std::string_view why) {
  throw Error(Exit::internal, problem, why, "please report this as a bug, with the command that led here");
}

}  // namespace temblor
