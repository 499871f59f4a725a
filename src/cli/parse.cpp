#include <algorithm>

#include <boost/program_options.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/parse.hpp>

namespace temblor::cli {
namespace {

namespace po = boost::program_options;

std::string hint(const Subcommand& command) {
  return "see 'temblor help " + command.name + "'";
}

po::options_description describe(const Subcommand& command) {
  po::options_description description;
  for (const auto& option : command.options) {
    const std::string names = option.letter == 0 ? option.name : option.name + "," + option.letter;
    if (option.value.empty()) {
      description.add_options()(names.c_str(), "");
    } else {
      description.add_options()(names.c_str(), po::value<std::string>(), "");
    }
  }
  return description;
}

[[noreturn]] void unknown_option(const Subcommand& command, const std::string& option) {
  std::vector<std::string> names{"help"};
  for (const auto& known : command.options) names.push_back(known.name);
  const auto first = option.find_first_not_of('-');
  const std::string near = first == std::string::npos ? "" : nearest(option.substr(first), names);
  usage_error("unknown option '" + option + "' of 'temblor " + command.name + "'", "",
              near.empty() ? hint(command) : "did you mean '--" + near + "'?");
}

[[noreturn]] void no_value(const Subcommand& command, const std::string& option) {
  usage_error("option '" + option + "' has no value", "it needs one", hint(command));
}

/// Boost splits the words; guessing from abbreviations is off, because an option added later would change
/// what a script means.
std::vector<po::option> split_words(const Subcommand& command, const std::vector<std::string>& words) {
  using style = po::command_line_style::style_t;
  const po::options_description description = describe(command);
  try {
    return po::command_line_parser(words)
        .options(description)
        .style(static_cast<int>(style::default_style) & ~static_cast<int>(style::allow_guessing))
        .run()
        .options;
  } catch (const po::unknown_option& error) {
    unknown_option(command, error.get_option_name());
  } catch (const po::invalid_command_line_syntax& error) {
    const std::string option = "option '" + error.get_option_name() + "'";
    switch (error.kind()) {
      case po::invalid_syntax::extra_parameter:
        usage_error(option + " was given a value", "it is a switch", "leave the value out");
      case po::invalid_syntax::missing_parameter:
      case po::invalid_syntax::empty_adjacent_parameter:
        no_value(command, error.get_option_name());
      default:
        usage_error(option, "wrong syntax", hint(command));
    }
  } catch (const po::error& error) {
    usage_error("the command line cannot be read", error.what(), hint(command));
  }
}

}  // namespace

Arguments parse(const Subcommand& command, const std::vector<std::string>& words) {
  Arguments arguments;
  arguments.command_line = "temblor " + command.name;
  for (const auto& word : words) arguments.command_line += " " + shell_quoted(word);
  for (const auto& option : command.options) {
    if (!option.initial.empty()) arguments.defaults[option.name] = option.initial;
  }
  const auto repeats = [&](const std::string& name) {
    return std::any_of(command.options.begin(), command.options.end(),
                       [&](const Option& option) { return option.name == name && option.repeat; });
  };
  for (const auto& parsed : split_words(command, words)) {
    if (parsed.string_key.empty()) {
      const std::size_t position = arguments.positionals.size();
      if (position >= command.positionals.size()) {
        usage_error("stray argument '" + parsed.value.at(0) + "'",
                    command.positionals.empty()
                        ? "'temblor " + command.name + "' takes options only"
                        : "all arguments of 'temblor " + command.name + "' are already given",
                    hint(command));
      }
      arguments.positionals[command.positionals[position].name] = parsed.value.at(0);
      continue;
    }
    // Boost takes any next word as the value; an option there means that the value was forgotten.
    if (parsed.original_tokens.size() > 1 && parsed.original_tokens[1].starts_with("--")) {
      no_value(command, "--" + parsed.string_key);
    }
    auto& values = arguments.values[parsed.string_key];
    if (!values.empty() && !repeats(parsed.string_key)) {
      usage_error("option '--" + parsed.string_key + "' is given twice", "it takes one value",
                  "give it once");
    }
    values.push_back(parsed.value.empty() ? "" : parsed.value.at(0));
  }
  for (const auto& positional : command.positionals) {
    if (positional.required && !arguments.positionals.contains(positional.name)) {
      usage_error("no " + positional.name + " is given", positional.help, hint(command));
    }
  }
  for (const auto& option : command.options) {
    if (option.required && !arguments.given(option.name)) {
      usage_error("no --" + option.name + " is given", option.help, hint(command));
    }
  }
  return arguments;
}

const Subcommand& find_subcommand(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : subcommand_table()) {
    if (command.name == name) return command;
    names.push_back(command.name);
  }
  unknown_name("subcommand", name, names);
}

std::string shell_quoted(const std::string& word) {
  const std::string plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,:=+@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool Arguments::given(const std::string& name) const {
  return values.contains(name);
}
bool Arguments::flag(const std::string& name) const {
  return given(name);
}

std::optional<std::string> Arguments::text(const std::string& name) const {
  if (const auto found = values.find(name); found != values.end()) return found->second.front();
  if (const auto found = defaults.find(name); found != defaults.end()) return found->second;
  return std::nullopt;
}

std::string Arguments::required(const std::string& name) const {
  if (auto value = text(name)) return *value;
  usage_error("no --" + name + " is given", "it is needed here", "give --" + name + " VALUE");
}

std::vector<std::string> Arguments::all(const std::string& name) const {
  if (const auto found = values.find(name); found != values.end()) return found->second;
  if (const auto found = defaults.find(name); found != defaults.end()) return {found->second};
  return {};
}

std::optional<std::string> Arguments::positional(const std::string& name) const {
  if (const auto found = positionals.find(name); found != positionals.end()) return found->second;
  return std::nullopt;
}

}  // namespace temblor::cli
