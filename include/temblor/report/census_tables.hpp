#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include <temblor/campaign/census_file.hpp>
#include <temblor/report/table.hpp>

namespace temblor {

/// A table of a census file in long form.
struct CensusTable {
  std::string name;
  std::string help;  ///< what one row is
  std::vector<Column> columns;
  void (*rows)(const CensusFile& file, RowWriter& writer);
};

/// faults, bits.
const std::vector<CensusTable>& census_tables();
/// By name; usage error with the nearest name otherwise.
const CensusTable& find_census_table(const std::string& name);

}  // namespace temblor
