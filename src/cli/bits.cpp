#include <algorithm>
#include <set>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/bits.hpp>

namespace temblor::cli {

std::vector<int> parse_bits(const std::string& text, const std::string& what, const Format& format) {
  std::set<int> bits;
  std::vector<std::string> fields;
  for (const auto& field : format.fields) fields.push_back(field.name);
  for (const auto& word : split(text, ',')) {
    const auto named = std::find(fields.begin(), fields.end(), word);
    if (word == "all") {
      for (int bit = 0; bit < format.bits; ++bit) bits.insert(bit);
    } else if (named != fields.end()) {
      const BitField& field = format.fields[static_cast<std::size_t>(named - fields.begin())];
      for (int bit = field.low; bit < field.low + field.bits; ++bit) bits.insert(bit);
    } else if (!word.empty() && word.find_first_not_of("0123456789-") == std::string::npos) {
      const auto ends = split(word, '-');
      if (ends.size() > 2) usage_error(what + " " + word, "a range is A-B", "as in 23-30");
      const auto bit = [&](const std::string& end) {
        return static_cast<int>(
            parse_integer(end, what + " (of format " + format.name + ")", 0, format.bits - 1));
      };
      const int low = bit(ends.front());
      const int high = bit(ends.back());
      if (low > high) usage_error(what + " " + word, "it runs backward", "put the lower bit first");
      for (int b = low; b <= high; ++b) bits.insert(b);
    } else {
      fields.emplace_back("all");
      unknown_name("bits or field of format " + format.name, word, fields);
    }
  }
  return {bits.begin(), bits.end()};
}

}  // namespace temblor::cli
