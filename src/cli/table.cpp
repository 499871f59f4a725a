#include <set>

#include <temblor/base/error.hpp>
#include <temblor/cli/commands.hpp>

namespace temblor::cli {
namespace {

void check(const Subcommand& command) {
  const std::string owner = "subcommand '" + command.name + "' ";
  ensure(!command.name.empty() && !command.help.empty() && !command.details.empty() && command.run != nullptr,
         owner + "has name, help, details and a function");
  ensure(!command.examples.empty(), owner + "has an example");
  std::set<std::string> names;
  std::set<char> letters{'h'};
  for (const auto& option : command.options) {
    ensure(!option.name.empty() && !option.help.empty(), owner + "explains all its options");
    ensure(option.name != "help" && names.insert(option.name).second,
           owner + "names its options once: " + option.name);
    ensure(option.letter == 0 || letters.insert(option.letter).second,
           owner + "uses a letter once: " + option.name);
    ensure(!option.value.empty() || (option.initial.empty() && !option.required && !option.repeat),
           owner + "has only plain switches: " + option.name);
  }
  for (const auto& positional : command.positionals) {
    ensure(!positional.name.empty() && !positional.help.empty(), owner + "explains all its arguments");
  }
}

std::vector<Subcommand> checked(std::vector<Subcommand> table) {
  std::set<std::string> names;
  for (const auto& command : table) {
    check(command);
    ensure(names.insert(command.name).second, "subcommand '" + command.name + "' is listed once");
  }
  return table;
}

}  // namespace

const std::vector<Subcommand>& subcommand_table() {
  static const std::vector<Subcommand> table = checked({
      train_command(),
      import_command(),
      quantize_command(),
      inspect_command(),
      eval_command(),
      run_command(),
      bound_command(),
      certify_command(),
      census_command(),
      check_command(),
      generalize_command(),
      list_command(),
      export_command(),
      plan_command(),
      study_command(),
      replay_command(),
      faults_command(),
      help_command(),
  });
  return table;
}

}  // namespace temblor::cli
