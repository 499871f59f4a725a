#pragma once

#include <cstdint>
#include <string>

#include <temblor/cli/subcommand.hpp>

namespace temblor::cli {

/// --activation-memory SIZE
Option activation_memory_option();
/// Its value in bytes.
std::int64_t activation_memory(const Arguments& arguments);
/// "2GiB", "512MiB", "1.5e9", "unlimited" in bytes; usage error for anything else.
std::int64_t parse_bytes(const std::string& text, const std::string& what);

}  // namespace temblor::cli
