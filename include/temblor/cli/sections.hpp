#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include <temblor/hdf5/file.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {

/// A column of a section: enough for text, JSON and HDF5.
struct Field {
  std::string name;  ///< "train error"; blanks become '_' in files and JSON
  std::string unit;  ///< "" for counts, shares and text
  std::string meaning;
  int digits = 4;  ///< significant digits in text
};

/// One table of a command's result, printed under `title` and stored as the group /name with one dataset a
/// field.
struct Section {
  std::string name;
  std::string title;
  std::vector<Field> fields;
  std::vector<std::vector<Cell>> rows{};

  /// Internal error when the row has not one cell a field.
  void add(std::vector<Cell> row);
};

/// Titles and tables, a blank line between; sections without rows are left out.
void write_text(std::ostream& out, const std::vector<Section>& sections);
/// {"name": [{"train_error": 0.1, ...}, ...], ...}; numbers that are not finite are the texts "inf", "-inf",
/// "nan", missing values null. `head` are members put before, as (name, JSON text) pairs.
void write_json(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& head,
                const std::vector<Section>& sections);
/// Reals and missing numbers become float64 (NaN where missing), whole numbers and truths int64, words text;
/// every dataset has the attributes unit and meaning.
void write_sections(const hdf5::Group& file, const std::vector<Section>& sections);

}  // namespace temblor::cli
