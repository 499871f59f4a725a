#pragma once

#include <string>
#include <vector>

#include <temblor/attacks/attack.hpp>

namespace temblor {

/// Rates of faults by supply voltage: the `[voltage]` table of a spec.
struct VoltageTable {
  std::vector<double> volts;  ///< rising
  std::vector<double> rates;  ///< one a voltage, above 0 and at most 1

  /// The rate at a voltage: between two of the table its logarithm is linear. Usage error, which begins with
  /// `what`, outside the table.
  double rate(double voltage, const std::string& what) const;
};

/// What severities of an attack are that are given as voltages.
Quantity volts_quantity();
/// Sorted by voltage. Usage errors begin with `what`: lists that do not fit, rates of 0 or below, above 1, a
/// voltage twice.
VoltageTable voltage_table(std::vector<double> volts, std::vector<double> rates, const std::string& what);

}  // namespace temblor
