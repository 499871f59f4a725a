#include "catalogue.hpp"

#include <algorithm>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/report/table.hpp>

namespace temblor::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t line_width = 100;
constexpr std::size_t least_text = 40;  ///< a column of words is never narrower
constexpr std::size_t indent = 4;

std::string number_text(const Json& value) {
  if (value.is_null()) return "any";
  return value.is_number_integer() ? std::to_string(value.get<std::int64_t>()) : to_text(value.get<double>());
}

/// One value on one line: numbers of an array are the two ends of a range, words are alternatives.
std::string value_text(const Json& value) {
  if (value.is_null()) return {};
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return number_text(value);
  std::vector<std::string> parts;
  bool words = true;
  for (const auto& part : value) {
    words = words && part.is_string();
    parts.push_back(part.is_string() ? part.get<std::string>() : number_text(part));
  }
  return join(parts, words ? " | " : " .. ");
}

bool is_table(const Json& value) {
  return value.is_array() && !value.empty() && value.front().is_object();
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, text_width(text)), ' ');
}

/// Objects with the same keys as aligned columns, empty columns left out, the last one wrapped.
void write_table(std::ostream& out, const Json& rows) {
  std::vector<std::vector<std::string>> columns;
  for (const auto& item : rows.front().items()) {
    std::vector<std::string> column;
    for (const auto& row : rows) column.push_back(value_text(row.at(item.key())));
    if (std::all_of(column.begin(), column.end(), [](const auto& text) { return text.empty(); })) continue;
    column.insert(column.begin(), item.key());
    columns.push_back(std::move(column));
  }
  for (std::size_t line = 0; line <= rows.size(); ++line) {
    std::string text(2 * indent, ' ');
    for (std::size_t c = 0; c + 1 < columns.size(); ++c) {
      std::size_t width = 0;
      for (const auto& cell : columns[c]) width = std::max(width, text_width(cell));
      text += padded(columns[c][line], width) + "  ";
    }
    const std::size_t used = text_width(text);
    text += wrap(columns.back()[line], std::max(line_width - std::min(line_width, used), least_text), used);
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  }
}

void write_entry(std::ostream& out, const Json& entry) {
  const std::string blanks(indent, ' ');
  std::size_t width = 0;
  for (const auto& item : entry.items()) {
    if (!is_table(item.value())) width = std::max(width, item.key().size());
  }
  for (const auto& item : entry.items()) {
    const auto& value = item.value();
    if (item.key() == "name") {
      out << value.get<std::string>() << '\n';
    } else if (item.key() == "help") {
      out << blanks << wrap(value.get<std::string>(), line_width - indent, indent) << '\n';
    } else if (is_table(value)) {
      out << blanks << item.key() << ":\n";
      write_table(out, value);
    } else if (!value_text(value).empty()) {
      const std::string left = blanks + padded(item.key() + ":", width + 1) + " ";
      // Command lines stay whole, to be copied.
      const auto text = value_text(value);
      out << left << (item.key() == "example" ? text : wrap(text, line_width - left.size(), left.size()))
          << '\n';
    }
  }
}

/// The entry of that name alone.
Json chosen(const Json& table, const std::string& table_name, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& entry : table) {
    if (entry.at("name") == name) return Json::array({entry});
    names.push_back(entry.at("name").get<std::string>());
  }
  const std::size_t ending = table_name.ends_with("sses") ? 2 : 1;
  unknown_name(table_name.substr(0, table_name.size() - ending), name, names);
}

int run_list(const Arguments& arguments, const Streams& streams) {
  const auto table_name = *arguments.positional("TABLE");
  Json table = catalogue(table_name);
  if (const auto name = arguments.positional("NAME")) table = chosen(table, table_name, *name);
  if (arguments.flag("json")) {
    streams.out << table.dump(2) << '\n';
    return 0;
  }
  bool first = true;
  for (const auto& entry : table) {
    if (!first) streams.out << '\n';
    first = false;
    write_entry(streams.out, entry);
  }
  return 0;
}

}  // namespace

Subcommand list_command() {
  return {
      .name = "list",
      .help = "the attacks, bounds, formats, datasets, protections, layers or losses there are",
      .details =
          "Prints one of the tables that temblor is made of: every entry with what it does, its parameters, "
          "units, ranges and defaults, its source and an example. Tables: " +
          join(catalogue_names(), ", ") + ".\n\n" +
          "An attack's severity is given by an option of the name shown under severity (--eps, --ber), its "
          "parameters by --set NAME=VALUE; a bound's parameters by --set BOUND.NAME=VALUE, or in a "
          "spec under [bounds.NAME]; a protection's follow its name, as in --protect parity:width=32.",
      .examples = {"temblor list attacks", "temblor list attacks bit-flip", "temblor list formats --json"},
      .positionals = {{"TABLE", "attacks, bounds, formats, datasets, protections, layers or losses", true},
                      {"NAME", "only the entry of this name", false}},
      .options = {{.name = "json", .value = "", .help = "as JSON: an array with one object an entry"}},
      .run = run_list};
}

}  // namespace temblor::cli
