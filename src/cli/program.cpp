#include <algorithm>
#include <exception>
#include <new>
#include <ostream>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/error.hpp>
#include <temblor/cli/help.hpp>
#include <temblor/cli/parse.hpp>

namespace temblor::cli {
namespace {

bool asks_for_help(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end,
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

int dispatch(const std::vector<std::string>& arguments, const Streams& streams) {
  if (arguments.empty()) usage_error("no subcommand is given", "", "'temblor help' lists them");
  const std::string& first = arguments.front();
  const std::vector<std::string> words(arguments.begin() + 1, arguments.end());
  if (first == "--help" || first == "-h") {
    streams.out << overview();
    return 0;
  }
  if (first == "--version") {
    if (!words.empty()) usage_error("stray argument '" + words.front() + "'", "--version stands alone", "");
    streams.out << version_text();
    return 0;
  }
  if (first.starts_with("-")) {
    usage_error("unknown option '" + first + "'", "a subcommand comes first", "'temblor help' lists them");
  }
  const Subcommand& command = find_subcommand(first);
  if (asks_for_help(words)) {
    streams.out << help_text(command);
    return 0;
  }
  return command.run(parse(command, words), streams);
}

}  // namespace

int run(const std::vector<std::string>& arguments, const Streams& streams) {
  const auto fail = [&](std::string_view message, Exit code) {
    streams.err << "temblor: " << message << std::endl;
    return static_cast<int>(code);
  };
  try {
    fix_arithmetic();
    const int code = dispatch(arguments, streams);
    streams.out.flush();
    if (!streams.out)
      input_error("standard output cannot be written", "", "is the disk full, or the pipe closed?");
    return code;
  } catch (const Error& error) {
    return fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail("out of memory: use fewer images (--select first:N), fewer threads, or a larger machine",
                Exit::internal);
  } catch (const std::exception& error) {
    return fail(std::string("unexpected failure (") + error.what() +
                    "): please report this as a bug, with the command that led here",
                Exit::internal);
  }
}

}  // namespace temblor::cli
