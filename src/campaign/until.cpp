#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/until.hpp>

namespace temblor {
namespace {

[[noreturn]] void wrong(const std::string& text, const std::string& what) {
  std::vector<std::string> names;
  for (const auto& rate : rate_table()) names.push_back(rate.name);
  usage_error(
      what + " '" + text + "'", "not of the form ci(RATE) < SHARE",
      "as in \"ci(sdc) < 0.5%\", \"ci(accuracy, 99%) < 0.01\", or several joined by 'and'; rates are " +
          join(names, ", "));
}

std::string without_blanks(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c != ' ' && c != '\t') result += c;
  }
  return result;
}

Until::Term parse_term(const std::string& text, const std::string& what) {
  const std::string term = without_blanks(text);
  const auto close = term.find(')');
  if (term.rfind("ci(", 0) != 0 || close == std::string::npos || close + 1 >= term.size() ||
      term[close + 1] != '<') {
    wrong(text, what);
  }
  const auto inside = split(term.substr(3, close - 3), ',');
  if (inside.size() > 2) wrong(text, what);
  const auto& rate = find_rate(inside.front());
  const double confidence = inside.size() == 2 ? parse_share(inside.back(), what + ", confidence") : 0.95;
  return {&rate, confidence, parse_share(term.substr(close + 2), what + ", half width")};
}

}  // namespace

std::int64_t Until::Term::least_trials() const {
  if (rate->event) return 1;
  return static_cast<std::int64_t>(std::ceil(std::log1p(-confidence) / std::log1p(-width)));
}

Until Until::parse(const std::string& text, const std::string& what) {
  Until until;
  std::string rest = text;
  for (;;) {
    const auto joint = rest.find(" and ");
    until.terms.push_back(parse_term(rest.substr(0, joint), what));
    if (joint == std::string::npos) return until;
    rest = rest.substr(joint + 5);
  }
}

std::string Until::text() const {
  std::vector<std::string> parts;
  for (const auto& term : terms) {
    parts.push_back("ci(" + term.rate->name + ", " + to_text(term.confidence) + ") < " + to_text(term.width));
  }
  return join(parts, " and ");
}

std::int64_t Until::least_trials() const {
  std::int64_t most = 1;
  for (const auto& term : terms) most = std::max(most, term.least_trials());
  return most;
}

}  // namespace temblor
