#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/voltage.hpp>
#include <temblor/data/dataset.hpp>

namespace temblor {

/// One [[attack]] table: a grid of points.
struct AttackSpec {
  std::string name;
  std::vector<double> severity;                 ///< in the unit of the attack's quantity
  std::vector<std::string> layers{"all"};       ///< "all", "0+2", or names joined by '+'
  std::vector<std::string> format{"fp32"};      ///< table names
  std::vector<std::string> protect{"none"};     ///< protections, as parse_protection takes them
  std::optional<std::int64_t> trials{};         ///< per point; the campaign's when empty
  std::map<std::string, std::string> params{};  ///< as given, by name
  std::string where{};                          ///< "spec.toml:12" or "command line", for errors
  bool volts = false;  ///< `severity` are voltages: the campaign's table has the attack's rates
};

/// A campaign, resolved: everything that `temblor run` needs to know, and nothing that cannot change results
/// but the places of files.
struct Spec {
  std::string title{};
  std::uint64_t seed = 1;
  std::int64_t trials = 1;
  std::string until{};    ///< when a point has trials enough (Until); `trials` is then the most. "": never
  std::string network{};  ///< file
  DataRequest data{};
  std::vector<AttackSpec> attacks{};
  std::map<std::string, std::string> memory{};  ///< keys of memory_params(), as given
  std::optional<VoltageTable> voltage{};
  std::vector<std::string> bounds{};
  BoundParams bound_params{};  ///< only of `bounds`
  bool full = false;  ///< every trial by full re-inference: equal counts, drops equal up to float32 rounding
  bool arithmetic = true;  ///< bounds also for what float32 evaluation may add: drops are measured in it
};

/// Values of the command line and the environment, which come before those of the spec file. Texts as typed.
struct Overrides {
  std::optional<std::string> title{}, seed{}, trials{}, until{}, network{}, set{}, split{}, select{},
      directory{};
  std::optional<std::string> attack{};  ///< replaces all [[attack]] tables
  std::map<std::string, std::string>
      severity{};  ///< quantity ("eps") -> list: every attack with that quantity
  std::optional<std::string> layers{}, format{}, protect{};  ///< lists, for every attack
  /// Every attack that has the parameter; "BOUND.parameter": of that bound.
  std::map<std::string, std::string> params{};
  std::optional<std::string> bounds{};
  std::map<std::string, std::string> memory{};   ///< of [memory]
  std::map<std::string, std::string> voltage{};  ///< rates by voltage: replaces [voltage]
  bool full = false;
  bool exact = false;  ///< bounds without the float32 term
};

/// Parses TOML. Usage errors name file and line for wrong syntax, wrong types, unknown keys (with the nearest
/// known one), unknown attacks, formats and bounds, and values out of range. Paths in the text are relative
/// to `directory`. What a spec may leave to the command line (network, data, attacks) may be missing.
Spec parse_spec(const std::string& text, const std::string& file, const std::string& directory);
/// Reads a spec file; bad-input error when it cannot be read.
Spec load_spec(const std::string& path);
/// Puts overrides on top. Usage errors name the option.
void apply(const Overrides& overrides, Spec& spec);
/// Usage error naming what is missing: network, data, attacks, severities.
void check_complete(const Spec& spec);

/// As a spec file that gives the same Spec again (paths as they are).
std::string to_toml(const Spec& spec);
/// The attack's checked parameters and its quantity.
Params checked_params(const AttackSpec& attack);
/// What the attack's severities are: its quantity, or volts.
Quantity severity_quantity(const AttackSpec& attack);
/// Gives an attack without severity that of its quantity, if the quantity has one.
void fill_severity(AttackSpec& attack);
/// Makes the attack's severity measured by `name` ("flips"), if need be by choosing a parameter that was not
/// given (an attack may count flips in one mode and error rates in another). False when the attack has no
/// such quantity.
bool select_quantity(const std::string& name, AttackSpec& attack);
/// Names of the quantities that some attack measures its severity in, sorted: options --eps, --ber, ...
std::vector<std::string> quantity_names();

}  // namespace temblor
