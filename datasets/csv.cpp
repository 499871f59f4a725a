#include "readers.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/data/byte_file.hpp>

namespace temblor {
namespace {

/// Where an error is: file and line.
struct Place {
  const std::string& file;
  std::size_t line;
};

[[noreturn]] void refuse(const Place& place, const std::string& why, const std::string& cure) {
  input_error("'" + place.file + "', line " + std::to_string(place.line), why, cure);
}

template <class T>
bool parse(std::string_view field, T& value) {
  const auto [end, code] = std::from_chars(field.data(), field.data() + field.size(), value);
  return code == std::errc{} && end == field.data() + field.size();
}

std::string_view trim(std::string_view field) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!field.empty() && blank(field.front())) field.remove_prefix(1);
  while (!field.empty() && blank(field.back())) field.remove_suffix(1);
  return field;
}

template <class Action>
std::size_t for_each_field(std::string_view line, Action&& action) {
  for (std::size_t i = 0;; ++i) {
    const auto comma = line.find(',');
    action(i, trim(line.substr(0, comma)));
    if (comma == std::string_view::npos) return i + 1;
    line.remove_prefix(comma + 1);
  }
}

bool is_header(const std::string& line) {
  bool words = false;
  for_each_field(line, [&](std::size_t, std::string_view field) {
    double ignored = 0;
    words = words || (!field.empty() && !parse(field, ignored));
  });
  return words;
}

/// Column of the labels by the header's names.
std::size_t label_column(const Place& place, const std::string& header) {
  std::vector<std::size_t> found;
  for_each_field(header, [&](std::size_t i, std::string_view field) {
    std::string name(field);
    std::erase(name, '"');
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (name == "label") found.push_back(i);
  });
  if (found.size() != 1) {
    refuse(place, "the header names " + std::to_string(found.size()) + " columns 'label'",
           "name the column of the labels 'label', or leave the header out and put labels first");
  }
  return found.front();
}

}  // namespace

RawImages read_csv(const std::string& path, Split) {
  RawImages raw;
  raw.files = {path};
  ByteFile file(path);
  std::string line;
  std::vector<float> values;
  std::size_t label_at = 0;
  std::size_t columns = 0;
  std::size_t first = 0;
  for (Place place{path, 1}; file.line(line); ++place.line) {
    if (place.line == 1 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (place.line == 1 && is_header(line)) {
      label_at = label_column(place, line);
      continue;
    }
    if (trim(line).empty()) {
      while (file.line(line)) {
        if (!trim(line).empty()) refuse(place, "it is empty", "remove it");
      }
      break;
    }
    const std::size_t fields = for_each_field(line, [&](std::size_t i, std::string_view field) {
      const auto name = [&] {
        return "column " + std::to_string(i + 1) + ", '" + std::string(field.substr(0, 40)) + "', is ";
      };
      if (i == label_at) {
        std::int32_t label = 0;
        if (!parse(field, label) || label < 0 || label > most_label) {
          refuse(place, name() + "no label", "labels are whole numbers from 0");
        }
        raw.labels.push_back(label);
        return;
      }
      float value = 0;
      if (!parse(field, value) || !std::isfinite(value))
        refuse(place, name() + "not a finite number", "write plain numbers");
      values.push_back(value);
    });
    if (columns == 0) {
      columns = fields;
      first = place.line;
      if (columns < 2)
        refuse(place, "it has one column", "write a label and at least one value a line, joined by commas");
    }
    if (fields != columns) {
      refuse(place,
             "it has " + std::to_string(fields) + " columns, line " + std::to_string(first) + " has " +
                 std::to_string(columns),
             "give every line the same");
    }
    if (values.size() > most_values) refuse(place, "the file is too large", "give a smaller one");
  }
  if (raw.labels.empty())
    input_error("'" + path + "' holds no images", "", "write one a line: label, value, value, ...");
  raw.shape = {{static_cast<Index>(columns - 1)}};
  raw.values =
      Eigen::Map<const Matrix>(values.data(), static_cast<Index>(raw.labels.size()), raw.shape.size());
  return raw;
}

}  // namespace temblor
