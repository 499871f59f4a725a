#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/params.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

constexpr double int_limit = 9007199254740992.0;  // 2^53: every whole number up to here is a double

Params::Value parse_value(std::string_view owner, const ParamSpec& spec, const std::string& text) {
  const std::string what = std::string(owner) + ", " + spec.name;
  switch (spec.type) {
    case ParamType::flag:
      if (text == "true" || text == "false") return text == "true";
      usage_error(what + " '" + text + "'", "not a flag", "give true or false");
    case ParamType::integer:
      return parse_integer(text, what, static_cast<std::int64_t>(std::max(spec.least, -int_limit)),
                           static_cast<std::int64_t>(std::min(spec.most, int_limit)));
    case ParamType::real:
      return parse_real(text, what, spec.least, spec.most);
    case ParamType::choice:
      if (std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
        unknown_name("value of " + what, text, spec.choices);
      }
      return text;
    case ParamType::text:
    case ParamType::file:
      return text;
  }
  internal_error("parameter " + spec.name + " has no type");
}

}  // namespace

Params::Params(std::string_view owner, const std::vector<ParamSpec>& specs,
               const std::map<std::string, std::string>& given) {
  std::vector<std::string> names;
  for (const auto& spec : specs) names.push_back(spec.name);
  for (const auto& [name, text] : given) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      unknown_name("parameter of " + std::string(owner), name, names);
    }
  }
  for (const auto& spec : specs) {
    const auto found = given.find(spec.name);
    values_[spec.name] = parse_value(owner, spec, found == given.end() ? spec.initial : found->second);
    if (spec.type == ParamType::file) files_.insert(spec.name);
  }
}

namespace {

template <class T>
const T& get(const std::map<std::string, Params::Value, std::less<>>& values, std::string_view name) {
  const auto found = values.find(name);
  if (found == values.end() || !std::holds_alternative<T>(found->second)) {
    internal_error("parameter '" + std::string(name) +
                   "' is asked for with a type its table does not give it");
  }
  return std::get<T>(found->second);
}

}  // namespace

bool Params::flag(std::string_view name) const {
  return get<bool>(values_, name);
}
std::int64_t Params::integer(std::string_view name) const {
  return get<std::int64_t>(values_, name);
}
double Params::real(std::string_view name) const {
  return get<double>(values_, name);
}
const std::string& Params::text(std::string_view name) const {
  return get<std::string>(values_, name);
}

std::string Params::canonical() const {
  std::vector<std::string> parts;
  for (const auto& [name, value] : values_) {
    const auto words = to_text(value);
    parts.push_back(name + "=" + (files_.contains(name) && !words.empty() ? sha256_file(words) : words));
  }
  return join(parts, " ");
}

std::string to_text(const Params::Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto* real = std::get_if<double>(&value)) return to_text(*real);
  return std::get<std::string>(value);
}

}  // namespace temblor
