#include "table.hpp"

#include <cmath>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

void check_complete(const AttackEntry& entry) {
  const std::string owner = "attack '" + entry.name + "' ";
  ensure(!entry.name.empty() && !entry.help.empty() && !entry.example.empty() && !entry.source.empty(),
         owner + "has all its words");
  ensure(entry.quantity != nullptr && entry.make != nullptr, owner + "has all its functions");
  std::set<std::string> names;
  for (const auto& spec : entry.params) {
    ensure(!spec.name.empty() && !spec.help.empty(), owner + "explains all its parameters");
    ensure(names.insert(spec.name).second, owner + "names its parameters once: " + spec.name);
  }
  const auto quantity = entry.quantity(Params("attack '" + entry.name + "'", entry.params, {}));
  ensure(!quantity.name.empty() && !quantity.help.empty() && quantity.least <= quantity.most,
         owner + "says what its severity measures");
}

}  // namespace

const std::vector<AttackEntry>& attack_table() {
  static const std::vector<AttackEntry> table = [] {
    std::vector<AttackEntry> entries = {
        weight_pgd_entry(),
        k_weights_entry(),
        exact_entry(),
        gaussian_entry(),
        quantization_noise_entry(),
        progressive_bit_search_entry(),
        bit_flip_entry(),
        stuck_at_entry(),
        asymmetric_entry(),
        burst_entry(),
        word_entry(),
        memory_entry(),
        fault_map_entry(),
        activation_flip_entry(),
    };
    std::set<std::string> names;
    for (const auto& entry : entries) {
      check_complete(entry);
      ensure(names.insert(entry.name).second, "attack '" + entry.name + "' is listed once");
    }
    return entries;
  }();
  return table;
}

const AttackEntry& find_attack(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : attack_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("attack", name, names);
}

void check_severity(const AttackEntry& entry, const Params& params, double severity) {
  const auto quantity = entry.quantity(params);
  const std::string problem = "attack '" + entry.name + "', " + quantity.name + " " + to_text(severity);
  if (!(severity >= quantity.least && severity <= quantity.most)) {
    usage_error(problem, "out of range",
                "give a number from " + to_text(quantity.least) + " to " + to_text(quantity.most));
  }
  if (quantity.whole && severity != std::floor(severity))
    usage_error(problem, "not whole", "give a whole number");
}

std::unique_ptr<Attack> make_attack(const AttackEntry& entry, const AttackContext& context) {
  check_severity(entry, context.params, context.severity);
  return entry.make(context);
}

}  // namespace temblor
