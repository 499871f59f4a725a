#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace temblor::keras {

using Json = nlohmann::json;

/// A member of a JSON object that is there and not null, or null.
const Json* find(const Json& object, const std::string& key);

/// The settings of one layer in a model's configuration, read with their types checked. A setting that is
/// missing or null has the value `initial`. Errors are bad input and name the layer and the file.
class Settings {
 public:
  /// `values` must outlive this object.
  Settings(const Json& values, std::string title) : values_(&values), title_(std::move(title)) {}

  bool has(const std::string& key) const { return find(*values_, key) != nullptr; }
  const Json* raw(const std::string& key) const { return find(*values_, key); }
  std::int64_t whole(const std::string& key, std::int64_t initial) const;
  double real(const std::string& key, double initial) const;
  bool flag(const std::string& key, bool initial) const;
  std::string text(const std::string& key, const std::string& initial) const;
  /// Two whole numbers of at least 1, height then width; one number stands for both.
  std::array<std::int64_t, 2> pair(const std::string& key, std::array<std::int64_t, 2> initial) const;
  /// A number or a list of them.
  std::vector<double> reals(const std::string& key, double initial) const;
  /// "relu" of an activation given by name, or by an object with a class or a configuration.
  std::string activation() const;

  /// "layer 'conv1' (Conv2D) in 'model.h5'"
  const std::string& title() const { return title_; }
  [[noreturn]] void refuse(const std::string& why, const std::string& cure) const;

 private:
  [[noreturn]] void wrong(const std::string& key, const std::string& needed) const;

  const Json* values_;
  std::string title_;
};

}  // namespace temblor::keras
