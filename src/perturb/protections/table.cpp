#include "table.hpp"

#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

void check_complete(const ProtectionEntry& entry) {
  const std::string owner = "protection '" + entry.name + "' ";
  ensure(!entry.name.empty() && !entry.help.empty() && !entry.example.empty() && !entry.source.empty(),
         owner + "has all its words");
  ensure(entry.make != nullptr, owner + "has its function");
  std::set<std::string> names;
  for (const auto& spec : entry.params) {
    ensure(!spec.name.empty() && !spec.help.empty(), owner + "explains all its parameters");
    ensure(names.insert(spec.name).second, owner + "names its parameters once: " + spec.name);
  }
  Params("protection '" + entry.name + "'", entry.params, {});
}

}  // namespace

const std::vector<ProtectionEntry>& protection_table() {
  static const std::vector<ProtectionEntry> table = [] {
    std::vector<ProtectionEntry> entries = {
        none_entry(),          secded_72_64_entry(), secded_39_32_entry(), parity_entry(), tmr_entry(),
        tmr_selective_entry(), fixed_bits_entry(),   clip_entry(),         ranger_entry(),
    };
    std::set<std::string> names;
    for (const auto& entry : entries) {
      check_complete(entry);
      ensure(names.insert(entry.name).second, "protection '" + entry.name + "' is listed once");
    }
    return entries;
  }();
  return table;
}

const ProtectionEntry& find_protection(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : protection_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("protection", name, names);
}

std::string ProtectionChoice::text() const {
  const Params initial("protection '" + entry->name + "'", entry->params, {});
  std::string text = entry->name;
  for (const auto& [name, value] : params.values()) {
    if (value != initial.values().at(name)) text += ":" + name + "=" + to_text(value);
  }
  return text;
}

ProtectionChoice parse_protection(const std::string& text) {
  const auto parts = split(text, ':');
  const auto& entry = find_protection(parts.front());
  const std::string owner = "protection '" + entry.name + "'";
  std::map<std::string, std::string> given;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos || equals == 0) {
      usage_error(owner + ", '" + parts[i] + "'", "not of the form parameter=value",
                  "as in parity:width=32 (temblor list protections)");
    }
    if (!given.emplace(parts[i].substr(0, equals), parts[i].substr(equals + 1)).second) {
      usage_error(owner + ", " + parts[i].substr(0, equals), "given twice", "leave one out");
    }
  }
  return {&entry, Params(owner, entry.params, given)};
}

ParamSpec check_bits_param() {
  return {.name = "check-bits",
          .type = ParamType::choice,
          .initial = "faulted",
          .help =
              "faulted: attacks by error rate hit the added bits at the same rate, from a stream of their "
              "own; safe: nothing hits them",
          .choices = {"faulted", "safe"}};
}

std::vector<std::uint64_t> added_faults(const Params& params, const Exposure& exposure, const Stream& stream,
                                        std::uint64_t bits) {
  if (params.text("check-bits") != "faulted" || exposure.rate == 0) return {};
  Stream draws = stream;
  if (!exposure.nested) return choose_each(draws, bits, exposure.rate);
  std::vector<std::uint64_t> positions;
  for (const auto& one : choose_nested(stream.across_points(), bits, exposure.rate))
    positions.push_back(one.position);
  return positions;
}

}  // namespace temblor
