#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include <toml++/toml.h>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/campaign/until.hpp>
#include <temblor/formats/format.hpp>

namespace temblor {
namespace {

/// One table of the file with what errors need to know.
class Reader {
 public:
  Reader(const std::string& file, std::string title, const toml::table& table)
      : file_(&file), title_(std::move(title)), table_(&table) {}

  std::string where(const toml::node& node) const {
    return *file_ + ":" + std::to_string(node.source().begin.line);
  }
  std::string where() const { return where(*table_); }
  /// "spec.toml:3: seed"
  std::string what(const toml::node& node, const std::string& key) const { return where(node) + ": " + key; }

  /// Refuses keys that are not in `known`.
  void only(const std::vector<std::string>& known) const {
    for (const auto& [key, node] : *table_) {
      if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
        located(where(node), [&, name = std::string(key.str())] {
          unknown_name("key" + (title_.empty() ? "" : " of " + title_), name, known);
        });
      }
    }
  }

  const toml::node* find(const std::string& key) const { return table_->get(key); }

  std::optional<std::string> string(const std::string& key) const {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_string()) wrong(*node, key, "text in quotes");
    return node->value<std::string>();
  }
  std::optional<std::int64_t> integer(const std::string& key, std::int64_t least, std::int64_t most) const {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_integer()) wrong(*node, key, "a whole number");
    return parse_integer(std::to_string(*node->value<std::int64_t>()), what(*node, key), least, most);
  }
  std::optional<bool> flag(const std::string& key) const {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    if (!node->is_boolean()) wrong(*node, key, "true or false");
    return node->value<bool>();
  }
  const toml::table* table(const std::string& key) const {
    const auto* node = find(key);
    if (node == nullptr) return nullptr;
    if (!node->is_table()) wrong(*node, key, "a table, [" + key + "]");
    return node->as_table();
  }
  /// A text or number, or a list of them, as a comma-separated text; `inner` replaces commas in the list's
  /// elements.
  std::optional<std::string> list(const std::string& key, char inner = ',') const {
    const auto* node = find(key);
    if (node == nullptr) return std::nullopt;
    const auto* array = node->as_array();
    if (array == nullptr) return scalar(*node, key);
    std::vector<std::string> parts;
    for (const auto& element : *array) {
      parts.push_back(scalar(element, key));
      std::replace(parts.back().begin(), parts.back().end(), ',', inner);
    }
    if (parts.empty())
      usage_error(what(*node, key), "an empty list", "give at least one value, or leave the key out");
    return join(parts, ",");
  }
  std::string scalar(const toml::node& node, const std::string& key) const {
    if (node.is_string()) return *node.value<std::string>();
    if (node.is_integer()) return std::to_string(*node.value<std::int64_t>());
    if (node.is_floating_point()) return to_text(*node.value<double>());
    if (node.is_boolean()) return *node.value<bool>() ? "true" : "false";
    wrong(node, key, "a number, a text, or a list of them");
  }
  [[noreturn]] void wrong(const toml::node& node, const std::string& key, const std::string& wanted) const {
    std::ostringstream type;
    type << node.type();
    usage_error(what(node, key), "its type is " + type.str(), "give " + wanted);
  }

 private:
  const std::string* file_;
  std::string title_;
  const toml::table* table_;
};

std::string placed(const std::string& path, const std::string& directory) {
  const std::filesystem::path given(path);
  if (path.empty() || given.is_absolute() || directory.empty()) return path;
  return (std::filesystem::path(directory) / given).lexically_normal().string();
}

/// Named sets and generators are names; anything else is a file beside the spec.
std::string placed_set(const std::string& set, const std::string& directory) {
  const auto name = set.substr(0, set.find(':'));
  for (const auto& entry : dataset_table()) {
    if (entry.name == name) return set;
  }
  return placed(set, directory);
}

AttackSpec parse_attack(const std::string& file, const std::string& directory, const toml::table& table,
                        const std::optional<VoltageTable>& voltage) {
  Reader reader(file, "[[attack]]", table);
  AttackSpec attack;
  attack.where = reader.where();
  const auto name = reader.string("name");
  if (!name)
    usage_error(attack.where + ": [[attack]] without name", "",
                "add name = \"" + attack_table().front().name + "\" (temblor list attacks)");
  attack.name = *name;
  const auto& entry = located(attack.where, [&]() -> const AttackEntry& { return find_attack(attack.name); });

  std::vector<std::string> params;
  for (const auto& param : entry.params) params.push_back(param.name);
  for (const auto& param : entry.params) {
    const auto* node = reader.find(param.name);
    if (node == nullptr) continue;
    attack.params[param.name] = *reader.list(param.name);
    if (param.type == ParamType::file)
      attack.params[param.name] = placed(attack.params[param.name], directory);
    located(reader.where(*node), [&] {
      return Params("attack '" + attack.name + "'", entry.params, {{param.name, attack.params[param.name]}});
    });
  }
  for (const auto& name_of : quantity_names()) {
    if (reader.find(name_of) != nullptr && select_quantity(name_of, attack)) break;
  }
  const auto quantity = severity_quantity(attack);
  std::vector<std::string> known{"name", "layers", "format", "protect", "trials", quantity.name};
  known.insert(known.end(), params.begin(), params.end());
  Reader(file, "attack '" + attack.name + "'", table).only(known);

  if (const auto text = reader.list(quantity.name)) {
    const auto what = reader.what(*reader.find(quantity.name), quantity.name);
    attack.severity = severity_values(*text, what, quantity);
    // The command line may bring another table: then it is checked there.
    for (const double value : attack.severity) {
      if (attack.volts && voltage) voltage->rate(value, what);
    }
  }
  if (const auto text = reader.list("layers", '+')) {
    attack.layers = layer_values(*text, reader.what(*reader.find("layers"), "layers"));
  }
  if (const auto text = reader.list("format")) {
    attack.format = format_values(*text, reader.what(*reader.find("format"), "format"));
  }
  if (const auto text = reader.list("protect")) {
    attack.protect = protection_values(*text, reader.what(*reader.find("protect"), "protect"));
  }
  attack.trials = reader.integer("trials", 1, most_trials);
  fill_severity(attack);
  return attack;
}

std::map<std::string, std::string> parse_memory(const Reader& reader) {
  std::vector<std::string> known;
  for (const auto& param : memory_params()) known.push_back(param.name);
  reader.only(known);
  std::map<std::string, std::string> given;
  for (const auto& name : known) {
    const auto* node = reader.find(name);
    if (node == nullptr) continue;
    given[name] = reader.scalar(*node, name);
    located(reader.where(*node), [&] { return Params("[memory]", memory_params(), {{name, given[name]}}); });
  }
  located(reader.where(), [&] { return checked_memory("[memory]", given); });
  return given;
}

VoltageTable parse_voltage(const Reader& reader) {
  reader.only({"volts", "rates"});
  const auto values = [&](const std::string& key, double most) {
    const auto text = reader.list(key);
    if (!text) {
      usage_error(reader.where() + ": [voltage] without " + key, "every voltage has one rate",
                  "give volts = [...] and rates = [...]");
    }
    return parse_reals(*text, reader.what(*reader.find(key), key), 0, most);
  };
  return voltage_table(values("volts", volts_quantity().most), values("rates", 1),
                       reader.where() + ": [voltage]");
}

}  // namespace

Spec parse_spec(const std::string& text, const std::string& file, const std::string& directory) {
  toml::table root;
  try {
    root = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    usage_error(file + ":" + std::to_string(error.source().begin.line) + ": not TOML", error.description(),
                "correct the line; docs/spec.md shows a whole spec");
  }
  const Reader top(file, "", root);
  top.only({"title", "seed", "trials", "until", "full", "network", "data", "memory", "voltage", "attack",
            "bounds"});
  Spec spec;
  spec.title = top.string("title").value_or("");
  spec.seed = static_cast<std::uint64_t>(
      top.integer("seed", 0, std::numeric_limits<std::int64_t>::max()).value_or(1));
  spec.trials = top.integer("trials", 1, most_trials).value_or(1);
  if (const auto until = top.string("until"))
    spec.until = Until::parse(*until, top.what(*top.find("until"), "until")).text();
  spec.full = top.flag("full").value_or(false);
  if (const auto* table = top.table("network")) {
    const Reader reader(file, "[network]", *table);
    reader.only({"file"});
    spec.network = placed(reader.string("file").value_or(""), directory);
  }
  if (const auto* table = top.table("data")) {
    const Reader reader(file, "[data]", *table);
    reader.only({"set", "split", "select", "directory"});
    spec.data.set = placed_set(reader.string("set").value_or(""), directory);
    if (const auto split = reader.string("split"))
      spec.data.split = parse_split(*split, reader.what(*reader.find("split"), "split"));
    spec.data.select = reader.string("select").value_or("all");
    spec.data.directory = placed(reader.string("directory").value_or(""), directory);
  }
  if (const auto* table = top.table("memory")) spec.memory = parse_memory(Reader(file, "[memory]", *table));
  if (const auto* table = top.table("voltage"))
    spec.voltage = parse_voltage(Reader(file, "[voltage]", *table));
  if (const auto* table = top.table("bounds")) {
    const Reader reader(file, "[bounds]", *table);
    std::vector<std::string> known{"names", "arithmetic"};
    if (const auto names = reader.list("names"))
      spec.bounds = bound_names(*names, reader.what(*reader.find("names"), "names"));
    known.insert(known.end(), spec.bounds.begin(), spec.bounds.end());
    reader.only(known);
    spec.arithmetic = reader.flag("arithmetic").value_or(true);
    for (const auto& name : spec.bounds) {
      const auto* params = reader.table(name);
      if (params == nullptr) continue;
      const Reader values(file, "[bounds." + name + "]", *params);
      for (const auto& [key, node] : *params) {
        located(values.where(node), [&, parameter = std::string(key.str())] {
          set_bound_param(spec.bound_params, spec.bounds, name + "." + parameter, *values.list(parameter));
        });
      }
    }
  }
  if (const auto* node = top.find("attack")) {
    const auto* array = node->as_array();
    if (array == nullptr || !array->is_array_of_tables())
      top.wrong(*node, "attack", "tables, each headed [[attack]]");
    for (const auto& element : *array)
      spec.attacks.push_back(parse_attack(file, directory, *element.as_table(), spec.voltage));
  }
  return spec;
}

Spec load_spec(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  // An empty stream is no failure of reading, but inserting nothing is one of writing.
  const bool empty = in.peek() == std::ifstream::traits_type::eof() && in.eof() && !in.bad();
  if (!empty && (!in || !(text << in.rdbuf()))) {
    input_error("cannot read spec '" + path + "'", "no such file, a directory, or not readable",
                "check the path");
  }
  return parse_spec(text.str(), path, std::filesystem::path(path).parent_path().string());
}

}  // namespace temblor
