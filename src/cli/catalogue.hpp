#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

/// The plug-in tables as JSON: what `temblor list` prints. Every entry has name and help first; parameters
/// and severities are arrays of objects with `range`: [least, most] (null for no limit) of numbers, or the
/// allowed words.
namespace temblor::cli {

/// "attacks", "bounds", "formats", "datasets", "protections", "layers", "losses", "architectures".
std::vector<std::string> catalogue_names();
/// One table; usage error with the nearest name otherwise.
nlohmann::ordered_json catalogue(const std::string& name);

}  // namespace temblor::cli
