#pragma once

#include <string>
#include <vector>

#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

/// The words after the subcommand's name, checked against its table entry. Options are `--name VALUE`,
/// `--name=VALUE`,
/// `-n VALUE`; names are never abbreviated; `--` ends the options. Usage errors: unknown option (nearest
/// name), missing value, value for a switch, an option given twice that does not repeat, a stray or missing
/// positional, a required option left out.
Arguments parse(const Subcommand& command, const std::vector<std::string>& words);

/// The subcommand of that name; usage error with the nearest name otherwise.
const Subcommand& find_subcommand(const std::string& name);

/// One word as a POSIX shell needs it written.
std::string shell_quoted(const std::string& word);

}  // namespace temblor::cli
