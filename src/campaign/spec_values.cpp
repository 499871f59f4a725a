#include <algorithm>
#include <cmath>

#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/campaign/spec_values.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/perturb/protection.hpp>

namespace temblor {
namespace {

template <class T>
void refuse_repeats(const std::vector<T>& values, const std::string& what) {
  for (auto at = values.begin(); at != values.end(); ++at) {
    if (std::find(values.begin(), at, *at) == at) continue;
    std::string text;
    if constexpr (std::is_same_v<T, double>) {
      text = to_text(*at);
    } else {
      text = *at;
    }
    usage_error(what + " has '" + text + "' twice", "every grid value is a point", "leave one out");
  }
}

std::vector<std::string> words(const std::string& text, const std::string& what) {
  auto parts = split(text, ',');
  if (std::find(parts.begin(), parts.end(), "") != parts.end()) {
    usage_error(what + " '" + text + "'", "an empty value", "give values separated by commas");
  }
  refuse_repeats(parts, what);
  return parts;
}

}  // namespace

std::vector<double> severity_values(const std::string& text, const std::string& what,
                                    const Quantity& quantity) {
  auto values = parse_reals(text, what, quantity.least, quantity.most);
  for (const double value : values) {
    if (quantity.whole && value != std::floor(value)) {
      usage_error(what + " " + to_text(value), "'" + quantity.name + "' counts " + quantity.help,
                  "give whole numbers");
    }
  }
  refuse_repeats(values, what);
  return values;
}

std::vector<std::string> layer_values(const std::string& text, const std::string& what) {
  return words(text, what);
}

std::vector<std::string> format_values(const std::string& text, const std::string& what) {
  auto names = words(text, what);
  for (const auto& name : names) located(what, [&] { return &find_format(name); });
  return names;
}

std::vector<std::string> protection_values(const std::string& text, const std::string& what) {
  auto texts = words(text, what);
  for (auto& word : texts) word = located(what, [&] { return parse_protection(word); }).text();
  refuse_repeats(texts, what);
  return texts;
}

std::vector<std::string> bound_names(const std::string& text, const std::string& what) {
  auto names = words(text, what);
  for (const auto& name : names) located(what, [&] { return &find_bound(name); });
  return names;
}

Split parse_split(const std::string& text, const std::string& what) {
  if (text == "train") return Split::train;
  if (text == "test") return Split::test;
  located(what, [&] { unknown_name("split", text, {"train", "test"}); });
  return Split::test;
}

std::string to_text(Split split) {
  return split == Split::train ? "train" : "test";
}

}  // namespace temblor
