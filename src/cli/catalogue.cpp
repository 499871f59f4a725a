#include "catalogue.hpp"

#include <limits>
#include <set>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/voltage.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/perturb/protection.hpp>
#include <temblor/train/loss.hpp>

namespace temblor::cli {
namespace {

using Json = nlohmann::ordered_json;

Json limit(double value) {
  const bool none =
      value == std::numeric_limits<double>::lowest() || value == std::numeric_limits<double>::max();
  return none ? Json() : Json(value);
}

std::string type_text(ParamType type) {
  switch (type) {
    case ParamType::flag:
      return "flag";
    case ParamType::integer:
      return "integer";
    case ParamType::real:
      return "real";
    case ParamType::choice:
      return "choice";
    case ParamType::text:
      return "text";
    case ParamType::file:
      return "file";
  }
  return {};
}

Json param_json(const ParamSpec& spec) {
  Json range;
  if (spec.type == ParamType::flag) range = {"true", "false"};
  if (spec.type == ParamType::choice) range = spec.choices;
  if (spec.type == ParamType::integer || spec.type == ParamType::real)
    range = {limit(spec.least), limit(spec.most)};
  return {{"name", spec.name}, {"type", type_text(spec.type)},
          {"range", range},    {"default", spec.initial},
          {"unit", spec.unit}, {"help", spec.help}};
}

Json quantity_json(const Quantity& quantity, const std::string& when) {
  return {{"name", quantity.name},
          {"when", when},
          {"type", quantity.whole ? "integer" : "real"},
          {"range", {quantity.least, quantity.most}},
          {"unit", quantity.unit},
          {"help", quantity.help}};
}

/// What severity measures: with the defaults, and for every setting that changes it.
Json severities(const AttackEntry& entry) {
  Json all = Json::array();
  std::set<std::string> seen;
  const auto add = [&](const std::map<std::string, std::string>& given, const std::string& when) {
    const auto quantity = entry.quantity(Params("attack '" + entry.name + "'", entry.params, given));
    if (seen.insert(quantity.name).second) all.push_back(quantity_json(quantity, when));
    const auto volts = volts_quantity();
    if (quantity.rate && seen.insert(volts.name).second) all.push_back(quantity_json(volts, when));
  };
  add({}, "");
  for (const auto& spec : entry.params) {
    for (const auto& choice : spec.choices) add({{spec.name, choice}}, spec.name + "=" + choice);
  }
  return all;
}

Json attacks() {
  Json all = Json::array();
  for (const auto& entry : attack_table()) {
    Json params = Json::array();
    for (const auto& spec : entry.params) params.push_back(param_json(spec));
    all.push_back(
        {{"name", entry.name},
         {"help", entry.help},
         {"source", entry.source},
         {"needs gradients", entry.gradient},
         {"acts on stored codes", entry.stored_codes},
         {"example", "temblor run --network net.h5 --dataset fashion-mnist " + entry.example + " -o out.h5"},
         {"severity", severities(entry)},
         {"parameters", params}});
  }
  return all;
}

Json bounds() {
  Json all = Json::array();
  for (const auto& entry : bound_table()) {
    Json params = Json::array();
    for (const auto& spec : entry.params) params.push_back(param_json(spec));
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"guarantee", entry.guarantee},
                   {"reference", entry.reference},
                   {"example", "temblor bound --network net.h5 --dataset fashion-mnist --bound " +
                                   entry.name + " --eps 1e-4:1e-2:log:7 -o bounds.h5"},
                   {"parameters", params}});
  }
  return all;
}

std::string of_text(ProtectionOf of) {
  switch (of) {
    case ProtectionOf::nothing:
      return "nothing";
    case ProtectionOf::codes:
      return "stored codes";
    case ProtectionOf::weights:
      return "weights";
    case ProtectionOf::activations:
      return "activations";
  }
  return {};
}

Json protections() {
  Json all = Json::array();
  for (const auto& entry : protection_table()) {
    Json params = Json::array();
    for (const auto& spec : entry.params) params.push_back(param_json(spec));
    const std::string list = entry.example == "none" ? "none" : "none," + entry.example;
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"source", entry.source},
                   {"protects", of_text(entry.of)},
                   {"example",
                    "temblor run --network net.h5 --dataset fashion-mnist --attack bit-flip --ber "
                    "1e-5 --format int8 --trials 100 --protect " +
                        list + " -o out.h5"},
                   {"parameters", params}});
  }
  return all;
}

Json formats() {
  Json all = Json::array();
  for (const auto& format : format_table()) {
    Json fields = Json::array();
    for (const auto& field : format.fields) {
      fields.push_back(
          {{"name", field.name}, {"bits", field.bits}, {"range", {field.low, field.low + field.bits - 1}}});
    }
    all.push_back(
        {{"name", format.name},
         {"help", format.help},
         {"bits", format.bits},
         {"range", format.range},
         {"scaled", format.scaled},
         {"largest rounding error", format.error_bound},
         {"example",
          "temblor run --network net.h5 --dataset fashion-mnist --attack bit-flip --ber 1e-5 --format " +
              format.name + " --trials 100 -o out.h5"},
         {"fields", fields}});
  }
  return all;
}

Json datasets() {
  Json all = Json::array();
  for (const auto& entry : dataset_table()) {
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"classes", entry.classes == 0 ? Json() : Json(entry.classes)},
                   {"usual places", entry.places},
                   {"package", entry.package},
                   {"example", "temblor eval --network net.h5 --dataset " + entry.example}});
  }
  return all;
}

Json layers() {
  Json all = Json::array();
  for (const auto& entry : layer_table()) {
    Json options = Json::array();
    for (const LayerOption& option : entry.options) {
      std::vector<std::string> initial;
      for (const double value : option.initial) initial.push_back(to_text(value));
      options.push_back({{"name", option.name},
                         {"default", initial.empty() ? "must be given" : join(initial, ",")},
                         {"help", option.help}});
    }
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"has weights", entry.weighted},
                   {"options", options},
                   {"example", "f[\"layers/0\"].attrs[\"kind\"] = \"" + entry.name + "\""}});
  }
  return all;
}

Json losses() {
  Json all = Json::array();
  for (const auto& entry : loss_table()) {
    Json params = Json::array();
    for (const auto& spec : entry.params) params.push_back(param_json(spec));
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"source", entry.source},
                   {"example", "temblor train --dataset fashion-mnist --arch 784-128-64-32-10 " +
                                   entry.example + " -o net.h5"},
                   {"parameters", params}});
  }
  return all;
}

Json architectures() {
  Json all = Json::array();
  for (const auto& entry : architecture_table()) {
    all.push_back({{"name", entry.name},
                   {"help", entry.help},
                   {"source", entry.source},
                   {"batch normalisation in training", entry.batch_norm},
                   {"example",
                    "temblor train --dataset fashion-mnist --arch " + entry.name + " --epochs 8 -o net.h5"}});
  }
  return all;
}

struct Catalogue {
  std::string name;
  Json (*make)();
};

const std::vector<Catalogue>& catalogues() {
  static const std::vector<Catalogue> all = {{"attacks", attacks},         {"bounds", bounds},
                                             {"formats", formats},         {"datasets", datasets},
                                             {"protections", protections}, {"layers", layers},
                                             {"losses", losses},           {"architectures", architectures}};
  return all;
}

}  // namespace

std::vector<std::string> catalogue_names() {
  std::vector<std::string> names;
  for (const auto& entry : catalogues()) names.push_back(entry.name);
  return names;
}

nlohmann::ordered_json catalogue(const std::string& name) {
  for (const auto& entry : catalogues()) {
    if (entry.name == name) return entry.make();
  }
  unknown_name("table", name, catalogue_names());
}

}  // namespace temblor::cli
