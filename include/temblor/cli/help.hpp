#pragma once

#include <string>

#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

std::string overview();                             ///< `temblor help`
std::string help_text(const Subcommand& command);   ///< `temblor help NAME`
std::string version_text();                         ///< `temblor --version`
std::string usage_line(const Subcommand& command);  ///< "temblor run [OPTIONS] [SPEC]"

std::string markdown_reference();  ///< docs/commands.md
std::string man_page();            ///< temblor.1, roff
std::string bash_completion();     ///< to be sourced by bash

}  // namespace temblor::cli
