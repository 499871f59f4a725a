#include <algorithm>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/campaign/until.hpp>

namespace temblor {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      constexpr char digits[] = "0123456789ABCDEF";
      result += std::string("\\u00") + digits[(c >> 4) & 0xf] + digits[c & 0xf];
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string list_of(const std::vector<std::string>& values) {
  std::vector<std::string> parts;
  for (const auto& value : values) parts.push_back(quoted(value));
  return "[" + join(parts, ", ") + "]";
}

std::string param_lines(const Params& params) {
  std::string text;
  for (const auto& [name, value] : params.values()) {
    text += name + " = " +
            (std::holds_alternative<std::string>(value) ? quoted(to_text(value)) : to_text(value)) + "\n";
  }
  return text;
}

bool has_param(const AttackEntry& entry, const std::string& name) {
  return std::any_of(entry.params.begin(), entry.params.end(),
                     [&](const auto& param) { return param.name == name; });
}

void set_params(const std::map<std::string, std::string>& params, Spec& spec) {
  for (const auto& [name, value] : params) {
    if (name.find('.') != std::string::npos) continue;
    bool used = false;
    std::vector<std::string> known;
    for (auto& attack : spec.attacks) {
      const auto& entry = find_attack(attack.name);
      for (const auto& param : entry.params) known.push_back(param.name);
      if (!has_param(entry, name)) continue;
      attack.params[name] = value;
      checked_params(attack);
      used = true;
    }
    if (!used && spec.attacks.empty())
      usage_error("--set " + name, "there is no attack", "name one with --attack");
    if (!used) unknown_name("parameter of --set", name, known);
  }
}

void set_severities(const std::map<std::string, std::string>& severities, Spec& spec) {
  for (const auto& [name, text] : severities) {
    bool used = false;
    std::string wanted;
    for (auto& attack : spec.attacks) {
      select_quantity(name, attack);
      const auto quantity = severity_quantity(attack);
      wanted += (wanted.empty() ? "" : ", ") + attack.name + " by --" + quantity.name;
      if (quantity.name != name) continue;
      attack.severity = severity_values(text, "--" + name, quantity);
      used = true;
    }
    if (!used) {
      usage_error("--" + name, "no attack of this campaign is measured by it",
                  wanted.empty() ? "name an attack with --attack" : "severity is given for " + wanted);
    }
  }
}

void check_volts(const Spec& spec, const AttackSpec& attack) {
  const std::string what = (attack.where.empty() ? "" : attack.where + ": ") + "volts";
  if (!spec.voltage) {
    usage_error(what, "the campaign has no table of voltages",
                "add [voltage] with volts = [...] and rates = [...], or --voltage V=RATE,...");
  }
  for (const double voltage : attack.severity) spec.voltage->rate(voltage, what);
}

std::string reals(const std::vector<double>& values) {
  std::vector<std::string> parts;
  for (const double value : values) parts.push_back(to_text(value));
  return quoted(join(parts, ","));
}

}  // namespace

Params checked_params(const AttackSpec& attack) {
  const auto check = [&] {
    return Params("attack '" + attack.name + "'", find_attack(attack.name).params, attack.params);
  };
  return attack.where.empty() ? check() : located(attack.where, check);
}

Quantity severity_quantity(const AttackSpec& attack) {
  return attack.volts ? volts_quantity() : find_attack(attack.name).quantity(checked_params(attack));
}

void fill_severity(AttackSpec& attack) {
  const auto initial = severity_quantity(attack).initial;
  if (attack.severity.empty() && initial) attack.severity = {*initial};
}

bool select_quantity(const std::string& name, AttackSpec& attack) {
  const auto& entry = find_attack(attack.name);
  const bool volts = name == volts_quantity().name;
  const auto measures = [&](const Params& params) {
    const auto quantity = entry.quantity(params);
    return volts ? quantity.rate : quantity.name == name;
  };
  if (measures(checked_params(attack))) {
    attack.volts = volts;
    return true;
  }
  for (const auto& param : entry.params) {
    if (attack.params.contains(param.name)) continue;
    for (const auto& choice : param.choices) {
      auto params = attack.params;
      params[param.name] = choice;
      if (!measures(Params("attack '" + entry.name + "'", entry.params, params))) continue;
      attack.params = params;
      attack.volts = volts;
      return true;
    }
  }
  return false;
}

void apply(const Overrides& overrides, Spec& spec) {
  if (overrides.title) spec.title = *overrides.title;
  if (overrides.seed) {
    spec.seed = static_cast<std::uint64_t>(parse_integer(*overrides.seed, "--seed", 0));
  }
  if (overrides.network) spec.network = *overrides.network;
  if (overrides.set) spec.data.set = *overrides.set;
  if (overrides.split) spec.data.split = parse_split(*overrides.split, "--split");
  if (overrides.select) spec.data.select = *overrides.select;
  if (overrides.directory) spec.data.directory = *overrides.directory;
  if (overrides.attack) {
    AttackSpec attack;
    attack.name = *overrides.attack;
    located("--attack", [&] { return &find_attack(attack.name); });
    spec.attacks = {attack};
  }
  set_params(overrides.params, spec);
  set_severities(overrides.severity, spec);
  if (overrides.trials) {
    spec.trials = parse_integer(*overrides.trials, "--trials", 1, most_trials);
    for (auto& attack : spec.attacks) attack.trials.reset();
  }
  if (overrides.until) spec.until = Until::parse(*overrides.until, "--until").text();
  for (auto& attack : spec.attacks) {
    if (overrides.layers) attack.layers = layer_values(*overrides.layers, "--layers");
    if (overrides.format) attack.format = format_values(*overrides.format, "--format");
    if (overrides.protect) attack.protect = protection_values(*overrides.protect, "--protect");
  }
  if (!overrides.voltage.empty()) {
    std::vector<double> volts, rates;
    for (const auto& [voltage, rate] : overrides.voltage) {
      volts.push_back(parse_real(voltage, "--voltage, volts", 0, volts_quantity().most));
      rates.push_back(parse_real(rate, "--voltage, rate", 0, 1));
    }
    spec.voltage = voltage_table(volts, rates, "--voltage");
  }
  for (const auto& [name, value] : overrides.memory) spec.memory[name] = value;
  checked_memory("--memory", spec.memory);
  if (overrides.bounds) {
    spec.bounds = bound_names(*overrides.bounds, "--bound");
    std::erase_if(spec.bound_params, [&](const auto& item) {
      return std::find(spec.bounds.begin(), spec.bounds.end(), item.first) == spec.bounds.end();
    });
  }
  for (const auto& [name, value] : overrides.params) {
    if (name.find('.') == std::string::npos) continue;
    located("--set", [&, &key = name, &given = value] {
      set_bound_param(spec.bound_params, spec.bounds, key, given);
    });
  }
  for (auto& attack : spec.attacks) fill_severity(attack);
  if (overrides.full) spec.full = true;
  if (overrides.exact) spec.arithmetic = false;
}

void check_complete(const Spec& spec) {
  if (spec.network.empty()) {
    usage_error("no network", "the campaign has none",
                "give --network FILE, or file = \"FILE\" under [network]");
  }
  if (spec.data.set.empty()) {
    usage_error("no dataset", "the campaign has none", "give --dataset NAME, or set = \"NAME\" under [data]");
  }
  if (spec.attacks.empty()) {
    usage_error("no attack", "the campaign has none",
                "give --attack NAME, or an [[attack]] table (temblor list attacks)");
  }
  for (const auto& attack : spec.attacks) {
    const auto quantity = severity_quantity(attack);
    if (attack.volts) check_volts(spec, attack);
    if (!attack.severity.empty()) continue;
    usage_error(
        (attack.where.empty() ? "" : attack.where + ": ") + "attack '" + attack.name + "' without severity",
        "", "give --" + quantity.name + " LIST, or " + quantity.name + " = [...] (" + quantity.help + ")");
  }
}

std::string to_toml(const Spec& spec) {
  std::string text;
  if (!spec.title.empty()) text += "title = " + quoted(spec.title) + "\n";
  text += "seed = " + std::to_string(spec.seed) + "\ntrials = " + std::to_string(spec.trials) + "\n";
  if (!spec.until.empty()) text += "until = " + quoted(spec.until) + "\n";
  if (spec.full) text += "full = true\n";
  text += "\n[network]\nfile = " + quoted(spec.network) + "\n";
  text += "\n[data]\nset = " + quoted(spec.data.set) + "\nsplit = " + quoted(to_text(spec.data.split)) +
          "\nselect = " + quoted(spec.data.select) + "\n";
  if (!spec.data.directory.empty()) text += "directory = " + quoted(spec.data.directory) + "\n";
  if (!spec.memory.empty()) text += "\n[memory]\n" + param_lines(checked_memory("[memory]", spec.memory));
  if (spec.voltage) {
    text += "\n[voltage]\nvolts = " + reals(spec.voltage->volts) + "\nrates = " + reals(spec.voltage->rates) +
            "\n";
  }
  for (const auto& attack : spec.attacks) {
    const auto params = checked_params(attack);
    text += "\n[[attack]]\nname = " + quoted(attack.name) + "\n" + severity_quantity(attack).name + " = " +
            reals(attack.severity) + "\n" + "layers = " + list_of(attack.layers) +
            "\nformat = " + list_of(attack.format) + "\n";
    if (attack.protect != AttackSpec{}.protect) text += "protect = " + list_of(attack.protect) + "\n";
    if (attack.trials) text += "trials = " + std::to_string(*attack.trials) + "\n";
    text += param_lines(params);
  }
  if (!spec.bounds.empty()) {
    text += "\n[bounds]\nnames = " + list_of(spec.bounds) +
            "\narithmetic = " + (spec.arithmetic ? "true" : "false") + "\n";
  }
  for (const auto& name : spec.bounds) {
    const auto params = checked_params(find_bound(name), spec.bound_params);
    if (!params.values().empty()) text += "\n[bounds." + name + "]\n" + param_lines(params);
  }
  return text;
}

std::vector<std::string> quantity_names() {
  std::set<std::string> names;
  for (const auto& entry : attack_table()) {
    const auto note = [&](const std::map<std::string, std::string>& params) {
      names.insert(entry.quantity(Params("attack '" + entry.name + "'", entry.params, params)).name);
    };
    if (entry.quantity(Params("", entry.params, {})).rate) names.insert(volts_quantity().name);
    note({});
    for (const auto& param : entry.params) {
      for (const auto& choice : param.choices) note({{param.name, choice}});
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace temblor
