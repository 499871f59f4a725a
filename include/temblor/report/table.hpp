#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <variant>
#include <vector>

namespace temblor {

/// One cell of a table; monostate is "no value" (empty in text and CSV, null in JSON).
using Cell = std::variant<std::monostate, bool, std::int64_t, double, std::string>;

struct Column {
  std::string name;
  int digits = 4;  ///< significant digits of reals in text; CSV and JSON always have all of them
};

/// Rows of cells under named columns: one thing that is printed as text, CSV or JSON.
struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;

  /// Appends a row; internal error when it has not one cell a column.
  void add(std::vector<Cell> row);
};

/// Plain text in aligned columns: columns that hold only numbers to the right, others to the left; widths
/// count characters, not bytes, of UTF-8 text. No trailing blanks.
void write_text(std::ostream& out, const Table& table);
/// csv: RFC 4180 with a header line, except that lines end in LF; reals read back exactly, non-finite ones
/// are inf, -inf, nan. json: an array with one object a row; JSON has no non-finite numbers: they are the
/// texts "inf", "-inf", "nan".
enum class TableFormat { text, csv, json };
/// "text", "csv" or "json"; usage error naming `what` otherwise.
TableFormat parse_table_format(const std::string& text, const std::string& what);
void write(std::ostream& out, const Table& table, TableFormat format);

/// Writes a table row by row, so that it need not fit in memory (text does: its widths are known only at the
/// end).
class RowWriter {
 public:
  /// References must outlive the writer.
  RowWriter(std::ostream& out, TableFormat format, std::vector<Column> columns);
  /// Internal error when the row has not one cell a column.
  void add(std::vector<Cell> row);
  /// Writes what is left; to be called once, at the end.
  void finish();

 private:
  std::ostream& out_;
  TableFormat format_;
  Table table_;
  bool first_ = true;
};

/// Number of characters of UTF-8 text (code points; bytes that are not UTF-8 count one each).
std::size_t text_width(const std::string& text);
/// Breaks text at blanks into lines of at most `width` characters, each but the first begun with `indent`
/// blanks.
std::string wrap(const std::string& text, std::size_t width, std::size_t indent = 0);

}  // namespace temblor
