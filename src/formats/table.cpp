#include "rows.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

void check_complete(const Format& format) {
  const std::string entry = "format '" + format.name + "'";
  ensure(!format.name.empty() && !format.help.empty() && !format.error_bound.empty() && !format.range.empty(),
         entry + " has all its words");
  ensure(format.bits >= 1 && format.bits <= 32, entry + " has 1 to 32 bits");
  ensure(format.encode != nullptr && format.decode != nullptr && format.rounding != nullptr,
         entry + " has all its functions");
  std::uint64_t covered = 0;
  for (const auto& field : format.fields) {
    ensure(!field.name.empty() && field.low >= 0 && field.bits > 0 && field.low + field.bits <= format.bits,
           entry + " has fields within its bits");
    const std::uint64_t mask = ((std::uint64_t{1} << field.bits) - 1) << field.low;
    ensure((covered & mask) == 0, entry + " has fields that do not overlap");
    covered |= mask;
  }
  ensure(covered == (std::uint64_t{1} << format.bits) - 1, entry + " has fields that cover every bit");
}

std::vector<Format> make_table() {
  std::vector<Format> table = formats::float_rows();
  for (const int bits : {8, 6, 4, 2}) {
    for (const bool affine : {false, true}) {
      for (const bool per_channel : {false, true}) {
        table.push_back(formats::integer({bits, affine, per_channel}, false));
      }
    }
  }
  for (const bool per_channel : {false, true}) {
    table.push_back(formats::integer({8, true, per_channel}, true));
  }
  table.push_back(formats::fixed_point(2, 5));
  table.push_back(formats::posit(8, 0));
  table.push_back(formats::posit(8, 2));
  table.push_back(formats::posit(16, 1));
  std::set<std::string> names;
  for (const auto& format : table) {
    check_complete(format);
    ensure(names.insert(format.name).second, "format '" + format.name + "' is listed once");
  }
  return table;
}

/// Formats that were asked for and are not in the table: made once, kept for ever.
const Format* family_member(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Format>, std::less<>> made;
  const std::lock_guard lock(mutex);
  const auto found = made.find(name);
  if (found != made.end()) return found->second.get();
  auto format = formats::of_family(name);
  if (!format) return nullptr;
  check_complete(*format);
  return made.emplace(name, std::make_unique<const Format>(std::move(*format))).first->second.get();
}

}  // namespace

const std::vector<Format>& format_table() {
  static const std::vector<Format> table = make_table();
  return table;
}

const Format& find_format(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& format : format_table()) {
    if (format.name == name) return format;
    names.push_back(format.name);
  }
  if (const Format* member = family_member(name)) return *member;
  unknown_name("format", name, names);
}

std::string field_of(const Format& format, int bit) {
  for (const auto& field : format.fields) {
    if (bit >= field.low && bit < field.low + field.bits) return field.name;
  }
  internal_error("format '" + format.name + "' has no bit " + std::to_string(bit));
}

}  // namespace temblor
