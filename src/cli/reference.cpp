#include <temblor/base/build.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/help.hpp>

namespace temblor::cli {
namespace {

/// Text for a Markdown table cell.
std::string md(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '|' || c == '<' || c == '*' || c == '_') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

/// Text for roff: backslashes and leading control characters are escaped, '-' is a real minus.
std::string roff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '-') escaped += '\\';
    if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) escaped += "\\&";
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string markdown_reference() {
  std::string text =
      "# Command reference\n\nWritten by `temblor help --markdown`; do not edit. A test compares it with the "
      "program.\n\n"
      "| subcommand | what it does |\n|---|---|\n";
  for (const auto& command : subcommand_table()) {
    text += "| [" + command.name + "](#temblor-" + command.name + ") | " + md(command.help) + " |\n";
  }
  for (const auto& command : subcommand_table()) {
    text += "\n## temblor " + command.name + "\n\n    " + usage_line(command) + "\n\n" + md(command.details) +
            "\n";
    if (!command.positionals.empty()) {
      text += "\n| argument | meaning |\n|---|---|\n";
      for (const auto& positional : command.positionals) {
        text += "| `" + positional.name + "` | " + md(positional.help) +
                (positional.required ? "" : " (optional)") + " |\n";
      }
    }
    if (!command.options.empty()) text += "\n| option | meaning | default |\n|---|---|---|\n";
    for (const auto& option : command.options) {
      text += std::string("| `") + (option.letter == 0 ? "" : std::string("-") + option.letter + "`, `") +
              "--" + option.name + (option.value.empty() ? "" : " " + option.value) + "` | " +
              md(option.help) + (option.required ? " (required)" : "") +
              (option.repeat ? " (may be repeated)" : "") + " | " +
              (option.initial.empty() ? "" : "`" + option.initial + "`") + " |\n";
    }
    text += "\nExamples:\n\n";
    for (const auto& example : command.examples) text += "    " + example + "\n";
  }
  return text;
}

std::string man_page() {
  std::string text =
      ".TH TEMBLOR 1 \"\" \"temblor " + build_info().version +
      "\" \"User Commands\"\n.SH NAME\ntemblor \\- shake the weights of a neural network and measure what "
      "falls\n.SH SYNOPSIS\n.B temblor\n.I SUBCOMMAND\n[\\fIARGUMENTS\\fR]\n.SH SUBCOMMANDS\n";
  for (const auto& command : subcommand_table()) {
    text += ".SS " + roff(usage_line(command)) + "\n" + roff(command.help) + ".\n.PP\n" +
            roff(command.details) + "\n";
    for (const auto& positional : command.positionals) {
      text += ".TP\n.I " + roff(positional.name) + "\n" + roff(positional.help) + "\n";
    }
    for (const auto& option : command.options) {
      text += ".TP\n\\fB" +
              (option.letter == 0 ? "" : roff(std::string("-") + option.letter) + "\\fR, \\fB") +
              roff("--" + option.name) + "\\fR" +
              (option.value.empty() ? "" : " \\fI" + roff(option.value) + "\\fR") + "\n" + roff(option.help) +
              (option.initial.empty() ? "" : " (default: " + roff(option.initial) + ")") + "\n";
    }
    text += ".PP\nExamples:\n.nf\n";
    for (const auto& example : command.examples) text += roff(example) + "\n";
    text += ".fi\n";
  }
  text +=
      ".SH EXIT STATUS\n0 done; 1 a check failed; 2 the command line or the spec is wrong; 3 a file cannot "
      "be read or "
      "written; 4 internal error; 130 interrupted, resumable.\n";
  return text;
}

std::string bash_completion() {
  std::vector<std::string> names;
  std::string cases;
  for (const auto& command : subcommand_table()) {
    names.push_back(command.name);
    std::vector<std::string> options{"--help"};
    for (const auto& option : command.options) options.push_back("--" + option.name);
    cases += "    " + command.name + ") words='" + join(options, " ") + "' ;;\n";
  }
  const std::string all = join(names, " ");
  return "# bash completion for temblor, written by `temblor help --bash-completion`\n"
         "_temblor() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} words=\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    mapfile -t COMPREPLY < <(compgen -W '" +
         all +
         " --help --version' -- \"$word\")\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  [[ ${COMP_WORDS[1]} == help ]] && words+=' " +
         all +
         "'\n"
         "  if [[ $word == -* || ${COMP_WORDS[1]} == help ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
         "  fi\n"
         "}\n"
         "complete -o default -F _temblor temblor\n";
}

}  // namespace temblor::cli
