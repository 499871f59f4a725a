#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/campaign/trial_columns.hpp>
#include <temblor/network/file.hpp>

namespace temblor {
namespace {

std::size_t base_index(Plan& plan, const std::string& format) {
  const auto& entry = find_format(format);
  for (std::size_t i = 0; i < plan.bases.size(); ++i) {
    if (plan.bases[i].format == &entry && plan.bases[i].sites == nullptr) return i;
  }
  plan.bases.push_back(store(plan.network, entry));
  return plan.bases.size() - 1;
}

/// The base of an attack's points; attacks on activations have bases of their own.
std::size_t base_index(Plan& plan, const AttackEntry& entry, const Params& params, const LayerSet& layers,
                       const std::string& format) {
  const auto stored = base_index(plan, format);
  if (entry.base == nullptr) return stored;
  for (const auto& point : plan.points) {
    if (point.attack == &entry && point.layers == layers && point.params.values() == params.values() &&
        plan.bases[point.base].format == plan.bases[stored].format) {
      return point.base;
    }
  }
  plan.bases.push_back(entry.base(plan.bases[stored], plan.data, layers, params));
  return plan.bases.size() - 1;
}

std::size_t threat_index(Plan& plan, const ThreatSet& set, std::size_t base) {
  for (std::size_t i = 0; i < plan.threats.size(); ++i) {
    if (plan.threats[i].base == base && plan.threats[i].set.key == set.key) return i;
  }
  plan.threats.push_back({set, base});
  return plan.threats.size() - 1;
}

/// Refuses protections of what the attack does not touch. `held`: the attack is on activations.
void check_protection(const Point& point, const Attack& attack, bool held) {
  const std::string problem =
      "protection '" + point.protection.entry->name + "' against attack '" + point.attack->name + "'";
  const std::string cure = "leave it out, or take an attack such as bit-flip";
  if (point.protection.entry->of == ProtectionOf::codes && !attack.code_faults()) {
    usage_error(problem, "it protects stored codes, and the attack does not act on them", cure);
  }
  if (held && point.protection.entry->of == ProtectionOf::activations) return;
  if (!point.protection.none() && attack.per_sample()) {
    usage_error(problem, "it is set against one network for all images, and here every image has its own",
                cure);
  }
}

/// The set that the protected network is in. Repairs may invert further bits, and clamped activations are
/// another network: nothing is claimed of them.
ThreatSet protected_set(const ThreatSet& set, const Point& point, const Protection& protection,
                        const Network& network) {
  if (protection.stays_in(set)) return set;
  return bits_set(network, "protect=" + point.protection.text() + " " + set.key + " " + point.quantity.name,
                  point.severity, point.layers);
}

LayerSet chosen_layers(const std::string& text, const AttackSpec& attack, const Network& network) {
  std::string commas = text;
  std::replace(commas.begin(), commas.end(), '+', ',');
  const std::string where = attack.where.empty() ? "--layers" : attack.where;
  return located(where, [&] { return parse_layers(commas, network); });
}

void add_points(Plan& plan, const AttackSpec& attack) {
  const auto& entry = find_attack(attack.name);
  const auto params = checked_params(attack);
  const auto quantity = severity_quantity(attack);
  std::vector<LayerSet> layer_sets;
  for (const auto& text : attack.layers) {
    layer_sets.push_back(chosen_layers(text, attack, plan.network));
    if (std::find(layer_sets.begin(), layer_sets.end() - 1, layer_sets.back()) != layer_sets.end() - 1) {
      usage_error((attack.where.empty() ? "" : attack.where + ": ") + "layers '" + text + "'",
                  "the same layers are in the grid already", "leave one out");
    }
  }
  for (const double severity : attack.severity) {
    for (const auto& layers : layer_sets) {
      for (const auto& format : attack.format) {
        const auto base = base_index(plan, entry, params, layers, format);
        const double acting = attack.volts ? plan.spec.voltage->rate(severity, "volts") : severity;
        Point point{&entry,
                    params,
                    quantity,
                    severity,
                    layers,
                    base,
                    attack.trials.value_or(plan.spec.trials),
                    0,
                    plan.trials,
                    acting,
                    parse_protection("none"),
                    plan.points.empty() ? 0 : plan.points.back().stream + 1};
        for (const auto& codes : plan.bases[base].codes) point.stored_bits += codes.stored_bits();
        const std::string where = attack.where.empty() ? "attack '" + attack.name + "'" : attack.where;
        const auto made = located(where, [&] { return make_attack(entry, plan.context(point)); });
        const auto set = made->threat();
        for (const auto& text : attack.protect) {
          point.protection = parse_protection(text);
          const auto protection = located(where, [&] {
            check_protection(point, *made, plan.bases[base].sites != nullptr);
            return plan.protection(point);
          });
          point.overhead_bits = protection->overhead_bits();
          if (made->deterministic()) point.trials = 1;
          point.population = made->population();
          point.threat =
              threat_index(plan, protected_set(set, point, *protection, plan.bases[base].network), base);
          point.first_trial = plan.trials;
          plan.trials += point.trials;
          plan.points.push_back(point);
        }
      }
    }
  }
}

std::vector<TrialBlock> cut(const std::vector<Point>& points) {
  std::vector<TrialBlock> blocks;
  // Every block keeps folds for every image until the end: campaigns of many points take fewer.
  const auto most = std::clamp<std::int64_t>(2048 / static_cast<std::int64_t>(points.size()), 8, most_blocks);
  for (std::size_t p = 0; p < points.size(); ++p) {
    const auto size = (points[p].trials + most - 1) / most;
    for (std::int64_t first = 0; first < points[p].trials; first += size) {
      blocks.push_back({p, first, std::min(size, points[p].trials - first)});
    }
  }
  return blocks;
}

/// The content of a census file decides results; its name does not say it.
std::string census_text(const ProtectionChoice& protection) {
  const auto& values = protection.params.values();
  const auto found = values.find("census");
  if (found == values.end() || to_text(found->second).empty()) return "";
  return " census-sha256=" + sha256_file(to_text(found->second));
}

std::string identity_text(const Plan& plan) {
  std::string text = "temblor campaign 1\nseed " + std::to_string(plan.spec.seed) + "\nnetwork " +
                     plan.network.id() + "\ndataset " + plan.data.id + "\n";
  for (std::size_t p = 0; p < plan.points.size(); ++p) {
    const auto& point = plan.points[p];
    text += "point " + std::to_string(p) + " " + plan.describe(point) +
            " trials=" + std::to_string(point.trials) + " " + point.params.canonical() + "\n";
    if (!point.protection.none()) {
      text += "protection of point " + std::to_string(p) + " " + point.protection.entry->name + " " +
              point.protection.params.canonical() + census_text(point.protection) + "\n";
    }
  }
  if (memory_spec("[memory]", plan.spec.memory) != MemorySpec{})
    text += "memory " + checked_memory("[memory]", plan.spec.memory).canonical() + "\n";
  if (plan.until) text += "until " + plan.until->text() + "\n";
  if (plan.spec.full) text += "evaluation full\n";
  text += "bounds ";
  std::vector<std::string> bounds;
  for (const auto& name : plan.spec.bounds) {
    const auto params = checked_params(find_bound(name), plan.spec.bound_params).canonical();
    bounds.push_back(params.empty() ? name : name + " (" + params + ")");
  }
  text += bounds.empty() ? "none" : join(bounds, ",") + (plan.spec.arithmetic ? " with float32 term" : "");
  text += "\n";
  return text;
}

}  // namespace

AttackContext Plan::context(const Point& point) const {
  const auto& base = bases[point.base];
  AttackContext context{base.network, data,         *base.format, point.layers,
                        point.acting, point.params, &base,        memory_spec("[memory]", spec.memory)};
  context.original = &network;
  return context;
}

std::unique_ptr<Protection> Plan::protection(const Point& point) const {
  const auto& base = bases[point.base];
  const auto census = [this, format = base.format->name](const std::string& file) {
    return census_importance(CensusFile(file), network.id(), format);
  };
  return point.protection.entry->make(
      {base, data, point.protection.params, census, memory_spec("[memory]", spec.memory)});
}

std::string Plan::describe(const Point& point) const {
  const bool volts = point.quantity.name == volts_quantity().name;
  return point.attack->name + " " + point.quantity.name + "=" + to_text(point.severity) +
         (volts ? " rate=" + to_text(point.acting) : "") + " layers=" + layers_text(point.layers, network) +
         " format=" + bases[point.base].format->name +
         (point.protection.none() ? "" : " protect=" + point.protection.text());
}

FileSizes Plan::sizes() const {
  const auto samples = static_cast<std::uint64_t>(data.size());
  const auto classes = static_cast<std::uint64_t>(network.classes());
  const auto rows = static_cast<std::uint64_t>(trials);
  constexpr std::uint64_t trial_row = (trial_whole_columns.size() + trial_real_columns.size() + 2) * 8;
  constexpr std::uint64_t partial_sample = 3 * 8 + 4 * 4;
  constexpr std::uint64_t block_row = 8 + 8 + 256 + 1;  // seconds, failed trial, its message, status
  constexpr std::uint64_t margin_sample = 3 * 8 + 3 * 8 + 4;
  FileSizes sizes;
  sizes.partial = rows * trial_row + blocks.size() * (block_row + samples * partial_sample);
  sizes.result = rows * trial_row + points.size() * samples * margin_sample +
                 bases.size() * samples * (classes * 4 + 12) + samples * 12;
  for (const auto& name : spec.bounds) {
    const auto& bound = find_bound(name);
    for (const auto& threat : threats) {
      if (!bound.refuses(bases[threat.base].network, threat.set).empty()) continue;
      sizes.result += samples * classes * (spec.arithmetic ? 16 : 8);
    }
  }
  return sizes;
}

Plan make_plan(const Spec& spec) {
  check_complete(spec);
  auto network = load_network(spec.network);
  auto data = load_dataset(spec.data, network.scaling());
  check_fits(network, spec.network, data);
  Plan plan{spec, std::move(network), std::move(data), {}, {}, {}, {}, 0, {}, {}, {}};
  if (!spec.until.empty()) plan.until = Until::parse(spec.until, "until");
  for (const auto& attack : spec.attacks) add_points(plan, attack);
  plan.blocks = cut(plan.points);
  plan.identity = identity_text(plan);
  plan.id = sha256_hex(plan.identity);
  return plan;
}

std::string difference(const std::string& there, const std::string& here) {
  const auto a = split(there, '\n');
  const auto b = split(here, '\n');
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string x = i < a.size() ? a[i] : "";
    const std::string y = i < b.size() ? b[i] : "";
    if (x != y) return "'" + x + "' there, '" + y + "' here";
  }
  return "";
}

}  // namespace temblor
