#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/report/table.hpp>

namespace temblor {
namespace {

template <class... Ts>
struct Visitor : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Visitor(Ts...) -> Visitor<Ts...>;

std::string rounded(double value, int digits) {
  if (!std::isfinite(value)) return to_text(value);
  std::ostringstream text;
  text << std::setprecision(digits) << value;
  return text.str();
}

/// All digits when `digits` is 0.
std::string cell_text(const Cell& cell, int digits) {
  return std::visit(
      Visitor{[](std::monostate) { return std::string(); },
              [](bool value) { return std::string(value ? "true" : "false"); },
              [](std::int64_t value) { return std::to_string(value); },
              [&](double value) { return digits == 0 ? to_text(value) : rounded(value, digits); },
              [](const std::string& value) { return value; }},
      cell);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

nlohmann::ordered_json json_value(const Cell& cell) {
  if (const auto* real = std::get_if<double>(&cell); real != nullptr && std::isfinite(*real)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return *whole;
  if (const auto* flag = std::get_if<bool>(&cell)) return *flag;
  if (std::holds_alternative<std::monostate>(cell)) return nullptr;
  return cell_text(cell, 0);
}

bool text_cell(const Cell& cell) {
  return std::holds_alternative<std::string>(cell) || std::holds_alternative<bool>(cell);
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  ensure(row.size() == columns.size(), "a table row has one cell a column");
  rows.push_back(std::move(row));
}

void write_text(std::ostream& out, const Table& table) {
  const std::size_t columns = table.columns.size();
  std::vector<std::size_t> width(columns);
  std::vector<bool> left(columns, table.rows.empty());
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& column : table.columns) lines[0].push_back(column.name);
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    for (std::size_t c = 0; c < columns; ++c) {
      line.push_back(cell_text(row[c], table.columns[c].digits));
      left[c] = left[c] || text_cell(row[c]);
    }
  }
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < columns; ++c) width[c] = std::max(width[c], text_width(line[c]));
  }
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string blanks(width[c] - text_width(line[c]), ' ');
      text += (c == 0 ? "" : "  ") + (left[c] ? line[c] + blanks : blanks + line[c]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  }
}

TableFormat parse_table_format(const std::string& text, const std::string& what) {
  if (text == "text") return TableFormat::text;
  if (text == "csv") return TableFormat::csv;
  if (text == "json") return TableFormat::json;
  unknown_name(what, text, {"text", "csv", "json"});
}

RowWriter::RowWriter(std::ostream& out, TableFormat format, std::vector<Column> columns)
    : out_(out), format_(format), table_{std::move(columns), {}} {
  if (format_ == TableFormat::json) out_ << '[';
  if (format_ != TableFormat::csv) return;
  for (const auto& column : table_.columns) {
    out_ << (&column == &table_.columns.front() ? "" : ",") << csv_field(column.name);
  }
  out_ << '\n';
}

void RowWriter::add(std::vector<Cell> row) {
  if (format_ == TableFormat::text) return table_.add(std::move(row));
  ensure(row.size() == table_.columns.size(), "a table row has one cell a column");
  if (format_ == TableFormat::csv) {
    for (std::size_t c = 0; c < row.size(); ++c)
      out_ << (c == 0 ? "" : ",") << csv_field(cell_text(row[c], 0));
    out_ << '\n';
  } else {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t c = 0; c < row.size(); ++c) object[table_.columns[c].name] = json_value(row[c]);
    out_ << (first_ ? "\n" : ",\n") << object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  first_ = false;
}

void RowWriter::finish() {
  if (format_ == TableFormat::text) write_text(out_, table_);
  if (format_ == TableFormat::json) out_ << (first_ ? "]\n" : "\n]\n");
}

void write(std::ostream& out, const Table& table, TableFormat format) {
  if (format == TableFormat::text) return write_text(out, table);
  RowWriter writer(out, format, table.columns);
  for (const auto& row : table.rows) writer.add(row);
  writer.finish();
}

std::size_t text_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // not a continuation byte
  }));
}

std::string wrap(const std::string& text, std::size_t width, std::size_t indent) {
  std::istringstream words(text);
  std::string result;
  std::size_t column = 0;
  for (std::string word; words >> word;) {
    const std::size_t size = text_width(word);
    if (column > 0 && column + 1 + size > width) {
      result += '\n' + std::string(indent, ' ');
      column = 0;
    }
    if (column > 0) result += ' ';
    column += size + (column > 0 ? 1 : 0);
    result += word;
  }
  return result;
}

}  // namespace temblor
