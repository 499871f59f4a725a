#include "config.hpp"

#include <cmath>

#include <temblor/base/error.hpp>

namespace temblor::keras {
namespace {

/// A number, also where an older Keras wrote an array of one as {"type": "ndarray", "value": 6.0}.
const Json& number_of(const Json& value) {
  const Json* inner = value.is_object() ? find(value, "value") : nullptr;
  return inner != nullptr ? *inner : value;
}

}  // namespace

const Json* find(const Json& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

void Settings::refuse(const std::string& why, const std::string& cure) const {
  input_error(title_, why, cure);
}

void Settings::wrong(const std::string& key, const std::string& needed) const {
  // Lists may nest as deep as the file is long.
  const Json& value = *raw(key);
  std::string shown = value.is_structured() ? (value.is_array() ? "a list" : "an object")
                                            : value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
  refuse("its " + key + " is " + shown + ", " + needed, "save the model again");
}

std::int64_t Settings::whole(const std::string& key, std::int64_t initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return initial;
  const Json& number = number_of(*value);
  constexpr std::uint64_t most = std::uint64_t{1} << 48U;
  if (number.is_number_unsigned() && number.get<std::uint64_t>() <= most) return number.get<std::int64_t>();
  if (!number.is_number_unsigned() && number.is_number_integer()) return number.get<std::int64_t>();
  wrong(key, "a whole number is needed");
}

double Settings::real(const std::string& key, double initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return initial;
  const Json& number = number_of(*value);
  if (!number.is_number() || !std::isfinite(number.get<double>())) wrong(key, "a number is needed");
  return number.get<double>();
}

bool Settings::flag(const std::string& key, bool initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return initial;
  if (!value->is_boolean()) wrong(key, "true or false is needed");
  return value->get<bool>();
}

std::string Settings::text(const std::string& key, const std::string& initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return initial;
  if (!value->is_string()) wrong(key, "text is needed");
  return value->get<std::string>();
}

std::array<std::int64_t, 2> Settings::pair(const std::string& key,
                                           std::array<std::int64_t, 2> initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return initial;
  std::array<std::int64_t, 2> result{};
  const bool both = value->is_array() && value->size() == 2;
  for (std::size_t i = 0; i < 2; ++i) {
    const Json& one = both ? (*value)[i] : *value;
    if (!one.is_number_unsigned() || one.get<std::uint64_t>() < 1 || one.get<std::uint64_t>() > (1U << 24U)) {
      wrong(key, "one or two whole numbers from 1 are needed");
    }
    result[i] = one.get<std::int64_t>();
  }
  return result;
}

std::vector<double> Settings::reals(const std::string& key, double initial) const {
  const Json* value = raw(key);
  if (value == nullptr) return {initial};
  const Json& numbers = number_of(*value);
  std::vector<double> result;
  const auto add = [&](const Json& one) {
    if (!one.is_number() || !std::isfinite(one.get<double>())) wrong(key, "numbers are needed");
    result.push_back(one.get<double>());
  };
  if (numbers.is_array() && !numbers.empty()) {
    for (const Json& one : numbers) add(one);
  } else {
    add(numbers);
  }
  return result;
}

std::string Settings::activation() const {
  const Json* value = raw("activation");
  if (value == nullptr) return "linear";
  if (value->is_object()) {
    // A function or a layer as an object: its name is under "config", or its class is its name.
    const Json* config = find(*value, "config");
    const Json* kind = find(*value, "class_name");
    if (config != nullptr && config->is_string()) {
      value = config;
    } else if (kind != nullptr) {
      value = kind;
    }
  }
  if (!value->is_string()) wrong("activation", "the name of one is needed");
  return value->get<std::string>();
}

}  // namespace temblor::keras
