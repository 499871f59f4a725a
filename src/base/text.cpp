#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({replace, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string quoted(std::string_view what, std::string_view text) {
  return std::string(what) + " '" + std::string(text) + "'";
}

template <class Real>
std::string shortest(Real value) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return {buffer.data(), end};
}

std::vector<double> parse_range(std::string_view text, std::string_view what, double least, double most) {
  const std::string form = "a range is lo:hi:log:n or lo:hi:lin:n, as in 1e-4:1e-2:log:7";
  const auto parts = split(text, ':');
  if (parts.size() != 4 || (parts[2] != "log" && parts[2] != "lin"))
    usage_error(quoted(what, text), "not a range", form);
  const double lo = parse_real(parts[0], what, least, most);
  const double hi = parse_real(parts[1], what, least, most);
  const auto n = parse_integer(parts[3], std::string(what) + ", number of values", 2, 1000000);
  const bool geometric = parts[2] == "log";
  if (geometric && !(lo > 0 && hi > 0))
    usage_error(quoted(what, text), "a log range needs both ends above 0", form);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(n - 1);
    values[i] = geometric ? lo * std::pow(hi / lo, t) : lo + (hi - lo) * t;
  }
  values.front() = lo;
  values.back() = hi;
  return values;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

void unknown_name(std::string_view what, std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  const std::string cure =
      near.empty() ? "known are " + join(candidates, ", ") : "did you mean '" + near + "'?";
  usage_error("unknown " + quoted(what, word), "", cure);
}

std::string to_text(double value) {
  return shortest(value);
}
std::string to_text(float value) {
  return shortest(value);
}

std::int64_t parse_integer(std::string_view text, std::string_view what, std::int64_t least,
                           std::int64_t most) {
  const std::string_view digits = trim(text);
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const std::string range =
      "give a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (digits.empty() || code == std::errc::invalid_argument || end != digits.data() + digits.size()) {
    usage_error(quoted(what, text), "not a whole number", range);
  }
  if (code != std::errc{} || value < least || value > most)
    usage_error(quoted(what, text), "out of range", range);
  return value;
}

double parse_real(std::string_view text, std::string_view what, double least, double most) {
  const std::string_view digits = trim(text);
  double value = 0;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || code != std::errc{} || end != digits.data() + digits.size() ||
      !std::isfinite(value)) {
    usage_error(quoted(what, text), "not a finite number", "write it as in 0.001 or 1e-3");
  }
  if (value < least || value > most) {
    usage_error(quoted(what, text), "out of range",
                "give a number from " + to_text(least) + " to " + to_text(most));
  }
  return value;
}

std::vector<double> parse_reals(std::string_view text, std::string_view what, double least, double most) {
  std::vector<double> values;
  for (const auto& part : split(text, ',')) {
    if (part.find(':') == std::string::npos) {
      values.push_back(parse_real(part, what, least, most));
    } else {
      const auto range = parse_range(part, what, least, most);
      values.insert(values.end(), range.begin(), range.end());
    }
  }
  return values;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const auto& part : parts) {
    if (&part != &parts.front()) text.append(separator);
    text.append(part);
  }
  return text;
}

}  // namespace temblor
