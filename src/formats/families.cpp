#include "rows.hpp"

#include <charconv>

#include <temblor/base/error.hpp>

namespace temblor::formats {
namespace {

/// Takes `word` off the front of `text`.
bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

/// Takes a whole number without leading zeros off the front.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || text[0] == '-' || (text[0] == '0' && length > 1)) return std::nullopt;
  text.remove_prefix(length);
  return number;
}

void check(std::string_view name, bool allowed, const std::string& family, const std::string& cure) {
  if (!allowed) usage_error("format '" + std::string(name) + "'", "out of the range of " + family, cure);
}

std::optional<Format> integer_of(std::string_view name) {
  std::string_view rest = name;
  const bool unsigned_codes = take(rest, "uint");
  if (!unsigned_codes && !take(rest, "int")) return std::nullopt;
  const auto bits = take_number(rest);
  const bool affine = !unsigned_codes && take(rest, "-affine");
  const bool per_channel = take(rest, "-channel");
  if (!bits || !rest.empty()) return std::nullopt;
  check(name, *bits >= 2 && *bits <= 16, "integers", "give 2 to 16 bits, as in int5 or uint12-channel");
  return integer({*bits, affine || unsigned_codes, per_channel}, unsigned_codes);
}

std::optional<Format> fixed_of(std::string_view name) {
  std::string_view rest = name;
  if (!take(rest, "q")) return std::nullopt;
  const auto integer_bits = take_number(rest);
  if (!integer_bits || !take(rest, ".")) return std::nullopt;
  const auto fraction_bits = take_number(rest);
  if (!fraction_bits || !rest.empty()) return std::nullopt;
  const bool allowed = *integer_bits <= 23 && *fraction_bits <= 23 && *integer_bits + *fraction_bits >= 1 &&
                       *integer_bits + *fraction_bits <= 23;
  check(name, allowed, "fixed point",
        "give qM.N with M + N from 1 to 23: float32 holds sign and 23 bits exactly");
  return fixed_point(*integer_bits, *fraction_bits);
}

std::optional<Format> posit_of(std::string_view name) {
  std::string_view rest = name;
  if (!take(rest, "posit")) return std::nullopt;
  const auto bits = take_number(rest);
  if (!bits || !take(rest, "-")) return std::nullopt;
  const auto exponent_bits = take_number(rest);
  if (!exponent_bits || !rest.empty()) return std::nullopt;
  check(name, *bits >= 3 && *bits <= 16 && *exponent_bits <= 3, "posits",
        "give positN-E with N from 3 to 16 and E from 0 to 3");
  return posit(*bits, *exponent_bits);
}

}  // namespace

std::optional<Format> of_family(std::string_view name) {
  for (const auto& family : {integer_of, fixed_of, posit_of}) {
    if (auto format = family(name)) return format;
  }
  return std::nullopt;
}

}  // namespace temblor::formats
