#include "lines.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace temblor::fuzz {
namespace {

using Random = std::minstd_rand;

std::size_t below(Random& random, std::size_t count) {
  return count == 0 ? 0 : random() % count;
}

struct Stretch {
  std::size_t begin, size;
};

/// The stretches of `text` between the separators.
std::vector<Stretch> stretches(const std::string& text, std::string_view separators) {
  std::vector<Stretch> found;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) found.push_back({begin, end - begin});
    begin = end + 1;
  }
  return found;
}

std::string mutated(std::string word, std::size_t most) {
  const std::size_t size = word.size();
  word.resize(std::max(size, most));
  word.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(word.data()), size, word.size()));
  return word;
}

std::string change_lines(const std::string& text, Random& random) {
  const auto lines = stretches(text, "\n");
  if (lines.empty()) return text;
  const auto line = [&](std::size_t i) { return text.substr(lines[i].begin, lines[i].size); };
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < lines.size(); ++i) kept.push_back(line(i));
  const std::size_t at = below(random, kept.size());
  const auto place = kept.begin() + static_cast<std::ptrdiff_t>(at);
  switch (below(random, 4)) {
    case 0:
      kept.insert(place, line(below(random, lines.size())));
      break;
    case 1:
      kept.erase(place);
      break;
    case 2:
      std::swap(*place, kept[below(random, kept.size())]);
      break;
    default:
      *place = line(below(random, lines.size()));
  }
  std::string result;
  for (const auto& one : kept) result += one + "\n";
  return result;
}

std::string change_word(std::string text, Random& random, std::size_t most) {
  const auto words = stretches(text, " \n,=[]\"");
  if (words.empty()) return text;
  const Stretch at = words[below(random, words.size())];
  const Stretch from = words[below(random, words.size())];
  const std::string word = below(random, 3) == 0
                               ? text.substr(from.begin, from.size)
                               : mutated(text.substr(at.begin, at.size), std::min<std::size_t>(most, 40));
  return text.replace(at.begin, at.size, word);
}

}  // namespace

std::size_t mutate_lines(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  Random random(seed);
  const std::size_t choice = below(random, 8);
  if (size == 0 || choice == 0) return LLVMFuzzerMutate(data, size, most);
  std::string text(reinterpret_cast<const char*>(data), size);
  for (std::size_t times = 1 + below(random, 3); times > 0; --times) {
    text = choice < 4 ? change_lines(text, random) : change_word(std::move(text), random, most);
  }
  if (text.size() > most) text.resize(most);
  std::copy(text.begin(), text.end(), data);
  return text.size();
}

}  // namespace temblor::fuzz
