#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace temblor {

/// What a plug-in's parameter may be. `choice` is one of a fixed set of words, `text` any string,
/// `file` the path of a file that is read, "" for none: what is in it counts, not where it is.
enum class ParamType { flag, integer, real, choice, text, file };

/// One parameter of an attack, bound, format or dataset: all that help, checking and the result file need to
/// know.
struct ParamSpec {
  std::string name;     ///< as written in specs and after --set, lower case with '-'
  ParamType type;       ///<
  std::string initial;  ///< default value, as text
  std::string help;     ///< one line
  std::string unit{};   ///< "" for a pure number
  double least =
      std::numeric_limits<double>::lowest();         ///< smallest allowed value (integer and real), included
  double most = std::numeric_limits<double>::max();  ///< largest allowed value, included
  std::vector<std::string> choices{};                ///< for ParamType::choice
};

/// Checked parameter values by name. Every parameter of the table is there, defaults filled in.
class Params {
 public:
  using Value = std::variant<bool, std::int64_t, double, std::string>;

  /// Checks `given` (name -> text) against `specs`: unknown names are refused with the nearest known one,
  /// values are parsed and range-checked; usage errors begin with `owner` ("attack 'weight-pgd'").
  Params(std::string_view owner, const std::vector<ParamSpec>& specs,
         const std::map<std::string, std::string>& given);
  Params() = default;

  bool flag(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  const std::string& text(std::string_view name) const;

  /// Canonical text "a=1 b=0.5", every parameter, sorted by name: part of a point's identity. Files by the
  /// SHA-256 of their bytes; bad-input error when one cannot be read.
  std::string canonical() const;
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, Value, std::less<>> values_;
  std::set<std::string, std::less<>> files_;  ///< names of those that are files
};

std::string to_text(const Params::Value& value);

}  // namespace temblor
