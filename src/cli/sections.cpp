#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <ostream>

#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/sections.hpp>

namespace temblor::cli {
namespace {

std::string key_of(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
}

nlohmann::ordered_json json_of(const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) return nullptr;
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return *whole;
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  const double real = std::get<double>(cell);
  if (std::isfinite(real)) return real;
  return to_text(real);
}

double real_of(const Cell& cell) {
  if (const auto* real = std::get_if<double>(&cell)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return static_cast<double>(*whole);
  if (const auto* truth = std::get_if<bool>(&cell)) return *truth ? 1 : 0;
  return std::numeric_limits<double>::quiet_NaN();
}

template <class T>
bool any(const std::vector<Cell>& cells) {
  return std::any_of(cells.begin(), cells.end(), [](const Cell& c) { return std::holds_alternative<T>(c); });
}

void write_column(const hdf5::Group& file, const std::string& path, const std::vector<Cell>& cells) {
  const hdf5::Dims dims{cells.size()};
  if (any<std::string>(cells)) {
    std::vector<std::string> words;
    for (const auto& cell : cells) {
      const auto* word = std::get_if<std::string>(&cell);
      words.push_back(word != nullptr ? *word : "");
    }
    file.write_strings(path, words);
  } else if (any<double>(cells) || any<std::monostate>(cells)) {
    std::vector<double> reals;
    for (const auto& cell : cells) reals.push_back(real_of(cell));
    file.write(path, std::span<const double>(reals), dims);
  } else {
    std::vector<std::int64_t> whole;
    for (const auto& cell : cells) whole.push_back(static_cast<std::int64_t>(real_of(cell)));
    file.write(path, std::span<const std::int64_t>(whole), dims);
  }
}

}  // namespace

void Section::add(std::vector<Cell> row) {
  ensure(row.size() == fields.size(), "a row of section '" + name + "' has a cell for each field");
  rows.push_back(std::move(row));
}

void write_text(std::ostream& out, const std::vector<Section>& sections) {
  for (const auto& section : sections) {
    if (section.rows.empty()) continue;
    Table table;
    for (const auto& field : section.fields) table.columns.push_back({field.name, field.digits});
    for (const auto& row : section.rows) table.add(row);
    out << '\n' << wrap(section.title, 110) << '\n';
    write_text(out, table);
  }
}

void write_json(std::ostream& out, const std::vector<std::pair<std::string, std::string>>& head,
                const std::vector<Section>& sections) {
  nlohmann::ordered_json json;
  for (const auto& [name, text] : head) json[name] = nlohmann::ordered_json::parse(text);
  for (const auto& section : sections) {
    auto& rows = json[section.name] = nlohmann::ordered_json::array();
    for (const auto& row : section.rows) {
      nlohmann::ordered_json object;
      for (std::size_t i = 0; i < row.size(); ++i) object[key_of(section.fields[i].name)] = json_of(row[i]);
      rows.push_back(std::move(object));
    }
  }
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

void write_sections(const hdf5::Group& file, const std::vector<Section>& sections) {
  for (const auto& section : sections) {
    if (section.rows.empty()) continue;
    for (std::size_t i = 0; i < section.fields.size(); ++i) {
      const auto& field = section.fields[i];
      const std::string path = "/" + section.name + "/" + key_of(field.name);
      std::vector<Cell> cells;
      for (const auto& row : section.rows) cells.push_back(row[i]);
      write_column(file, path, cells);
      file.set_text("unit", field.unit, path);
      file.set_text("meaning", field.meaning, path);
    }
  }
}

}  // namespace temblor::cli
