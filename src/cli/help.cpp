#include <algorithm>
#include <ostream>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/schema.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/help.hpp>
#include <temblor/cli/parse.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

constexpr std::size_t line_width = 100;

/// "  left   text", the text wrapped beside `left`, or below it when `left` is too wide.
std::string entry(const std::string& left, const std::string& text, std::size_t column) {
  std::string line = "  " + left;
  line += line.size() + 2 > column ? "\n" + std::string(column, ' ') : std::string(column - line.size(), ' ');
  return line + wrap(text, line_width - column, column) + "\n";
}

std::string option_left(const Option& option) {
  std::string left = option.letter == 0 ? "    " : std::string("-") + option.letter + ", ";
  left += "--" + option.name;
  return option.value.empty() ? left : left + " " + option.value;
}

std::string option_help(const Option& option) {
  std::vector<std::string> notes;
  if (option.required) notes.emplace_back("required");
  if (option.repeat) notes.emplace_back("may be repeated");
  if (!option.initial.empty()) notes.push_back("default: " + option.initial);
  return notes.empty() ? option.help : option.help + " (" + join(notes, "; ") + ")";
}

std::string paragraphs(const std::string& text) {
  std::string result;
  for (const auto& paragraph : split(text, '\n'))
    result += paragraph.empty() ? "\n" : wrap(paragraph, line_width) + "\n";
  return result;
}

int run_help(const Arguments& arguments, const Streams& streams) {
  const int forms = static_cast<int>(arguments.flag("markdown")) + static_cast<int>(arguments.flag("man")) +
                    static_cast<int>(arguments.flag("bash-completion")) +
                    static_cast<int>(arguments.flag("result-file"));
  const auto name = arguments.positional("SUBCOMMAND");
  if (forms > 1)
    usage_error("more than one output form is asked for", "",
                "give one of --markdown, --man, --bash-completion, --result-file");
  if (forms == 1 && name)
    usage_error("stray argument '" + *name + "'", "the reference covers all subcommands", "leave it out");
  if (arguments.flag("markdown")) {
    streams.out << markdown_reference();
  } else if (arguments.flag("man")) {
    streams.out << man_page();
  } else if (arguments.flag("bash-completion")) {
    streams.out << bash_completion();
  } else if (arguments.flag("result-file")) {
    streams.out << result_reference();
  } else {
    streams.out << (name ? help_text(find_subcommand(*name)) : overview());
  }
  return 0;
}

}  // namespace

std::string usage_line(const Subcommand& command) {
  std::string line = "temblor " + command.name;
  if (!command.options.empty()) line += " [OPTIONS]";
  for (const auto& option : command.options) {
    if (option.required) line += " --" + option.name + " " + option.value;
  }
  for (const auto& positional : command.positionals) {
    line += positional.required ? " " + positional.name : " [" + positional.name + "]";
  }
  return line;
}

std::string overview() {
  std::string text = "temblor " + build_info().version +
                     ": shakes the weights of a neural network and measures what falls\n\n"
                     "Usage: temblor SUBCOMMAND [ARGUMENTS]\n"
                     "       temblor help SUBCOMMAND\n"
                     "       temblor --version\n\nSubcommands:\n";
  for (const auto& command : subcommand_table()) text += entry(command.name, command.help, 14);
  text +=
      "\nData go to standard output, words to standard error. Exit codes: 0 done; 1 a check failed; 2 the "
      "command\n"
      "line or the spec is wrong; 3 a file cannot be read or written; 4 internal error; 130 interrupted.\n";
  return text;
}

std::string help_text(const Subcommand& command) {
  std::string text =
      "temblor " + command.name + ": " + command.help + "\n\nUsage: " + usage_line(command) + "\n\n";
  text += paragraphs(command.details);
  if (!command.positionals.empty()) text += "\nArguments:\n";
  for (const auto& positional : command.positionals) text += entry(positional.name, positional.help, 32);
  text += "\nOptions:\n";
  for (const auto& option : command.options) text += entry(option_left(option), option_help(option), 32);
  text += entry("-h, --help", "show this text", 32);
  text += "\nExamples:\n";
  for (const auto& example : command.examples) text += "  " + example + "\n";
  return text;
}

std::string version_text() {
  const BuildInfo& info = build_info();
  std::string text = "temblor " + info.version + " (" + info.git + ")\ncompiler: " + info.compiler + ", " +
                     info.flags + "\n";
  for (const auto& [library, version] : info.libraries) text += library + " " + version + "\n";
  return text;
}

Subcommand help_command() {
  return {.name = "help",
          .help = "explain temblor or one of its subcommands",
          .details =
              "Without an argument, lists the subcommands. The options write the whole reference, made from "
              "the same "
              "tables as these texts.",
          .examples = {"temblor help", "temblor help run", "temblor help --man > temblor.1",
                       "temblor help --bash-completion > temblor.bash"},
          .positionals = {{"SUBCOMMAND", "what to explain", false}},
          .options = {{.name = "markdown",
                       .value = "",
                       .help = "the command reference as Markdown (docs/commands.md)"},
                      {.name = "man", .value = "", .help = "the command reference as a manual page"},
                      {.name = "bash-completion", .value = "", .help = "completion for bash, to be sourced"},
                      {.name = "result-file",
                       .value = "",
                       .help = "reference of the result file as Markdown (docs/result-file.md)"}},
          .run = run_help};
}

}  // namespace temblor::cli
