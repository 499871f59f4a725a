#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace temblor {

/// The candidate nearest to `word` by edit distance (transpositions count one), or "" when none is close
/// (more than a third of its letters differ).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "unknown WHAT 'word'" with the nearest candidate, or all of them when none is near, as a usage error.
[[noreturn]] void unknown_name(std::string_view what, std::string_view word,
                               const std::vector<std::string>& candidates);

/// The shortest decimal text that reads back as exactly `value` ("inf", "-inf", "nan" for the non-finite).
std::string to_text(double value);
std::string to_text(float value);

/// A whole number in [least, most]; usage error naming `what` otherwise. No sign games: "-3" is never
/// 4294967293.
std::int64_t parse_integer(std::string_view text, std::string_view what,
                           std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                           std::int64_t most = std::numeric_limits<std::int64_t>::max());

/// A finite real number in [least, most]; "nan", "inf" and trailing text are refused with a usage error
/// naming `what`.
double parse_real(std::string_view text, std::string_view what,
                  double least = std::numeric_limits<double>::lowest(),
                  double most = std::numeric_limits<double>::max());

/// A list of reals: comma-separated numbers and ranges `lo:hi:log:n` (geometric) or `lo:hi:lin:n`
/// (arithmetic), both ends included, n >= 2. The end points are exactly lo and hi. Order is kept.
std::vector<double> parse_reals(std::string_view text, std::string_view what,
                                double least = std::numeric_limits<double>::lowest(),
                                double most = std::numeric_limits<double>::max());

/// Splits at every `separator`; surrounding blanks are dropped, empty parts kept. "" gives one empty part.
std::vector<std::string> split(std::string_view text, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);

}  // namespace temblor
