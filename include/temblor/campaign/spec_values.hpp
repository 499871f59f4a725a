#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>

namespace temblor {

/// Trials are 32-bit counters of random streams; files keep them as signed numbers.
inline constexpr std::int64_t most_trials = 2147483647;

/// Grid values as text, checked. `what` begins every usage error ("spec.toml:7: eps", "--eps"). Repeated
/// values are refused: they would be points of their own with other random numbers, which looks like a slip.
std::vector<double> severity_values(const std::string& text, const std::string& what,
                                    const Quantity& quantity);
std::vector<std::string> layer_values(const std::string& text, const std::string& what);
std::vector<std::string> format_values(const std::string& text, const std::string& what);
/// Canonical texts of protections.
std::vector<std::string> protection_values(const std::string& text, const std::string& what);
std::vector<std::string> bound_names(const std::string& text, const std::string& what);
Split parse_split(const std::string& text, const std::string& what);
std::string to_text(Split split);

/// Runs `find`; its error gets `where` in front.
template <class F>
decltype(auto) located(const std::string& where, F&& find) {
  try {
    return find();
  } catch (const Error& error) {
    throw Error(error.code(), where + ": " + error.what(), "", "");
  }
}

}  // namespace temblor
