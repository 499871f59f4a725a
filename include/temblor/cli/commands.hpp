#pragma once

#include <temblor/cli/subcommand.hpp>

/// Every subcommand, one file each in src/cli; src/cli/table.cpp lists them in the order of `temblor help`.
namespace temblor::cli {

Subcommand train_command();
Subcommand import_command();
Subcommand quantize_command();
Subcommand inspect_command();
Subcommand eval_command();
Subcommand run_command();
Subcommand bound_command();
Subcommand certify_command();
Subcommand census_command();
Subcommand check_command();
Subcommand generalize_command();
Subcommand list_command();
Subcommand export_command();
Subcommand plan_command();
Subcommand study_command();
Subcommand replay_command();
Subcommand faults_command();
Subcommand help_command();

}  // namespace temblor::cli
