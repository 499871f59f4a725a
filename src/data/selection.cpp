#include <algorithm>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {
namespace {

const std::string forms = "write all, first:N, range:A:B, stratified:N or random:N[:SEED]";

std::string quoted(const std::string& select) {
  return "selection '" + select + "'";
}

std::vector<std::int64_t> run(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  return rows;
}

std::vector<std::int64_t> stratified(const std::string& select, std::int64_t n,
                                     const std::vector<std::int32_t>& labels, Index classes) {
  if (n % classes != 0) {
    usage_error(quoted(select),
                std::to_string(n) + " images do not divide into " + std::to_string(classes) + " classes",
                "give a multiple of " + std::to_string(classes));
  }
  const std::int64_t each = n / classes;
  std::vector<std::int64_t> taken(static_cast<std::size_t>(classes), 0);
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    auto& count = taken[static_cast<std::size_t>(labels[i])];
    if (count == each) continue;
    ++count;
    rows.push_back(static_cast<std::int64_t>(i));
  }
  for (std::size_t c = 0; c < taken.size(); ++c) {
    if (taken[c] == each) continue;
    usage_error(quoted(select),
                "class " + std::to_string(c) + " has " + std::to_string(taken[c]) + " images, " +
                    std::to_string(each) + " are asked for",
                "ask for fewer");
  }
  return rows;
}

}  // namespace

std::vector<std::int64_t> select_images(const std::string& select, const std::vector<std::int32_t>& labels,
                                        Index classes) {
  const auto size = static_cast<std::int64_t>(labels.size());
  const auto parts = split(select, ':');
  const std::string& word = parts.front();
  const std::vector<std::string> words{"all", "first", "range", "stratified", "random"};
  if (std::find(words.begin(), words.end(), word) == words.end()) unknown_name("selection", word, words);
  const auto expect = [&](std::size_t least, std::size_t most) {
    if (parts.size() - 1 < least || parts.size() - 1 > most)
      usage_error(quoted(select), "not a selection", forms);
  };
  const auto number = [&](std::size_t i, std::int64_t least) {
    return parse_integer(parts[i], quoted(select) + ", number", least, INT64_MAX);
  };
  const auto check = [&](std::int64_t n) {
    if (n <= size) return n;
    usage_error(quoted(select), "the set has " + std::to_string(size) + " images", "ask for fewer");
  };
  if (word == "all") {
    expect(0, 0);
    return run(0, size);
  }
  if (word == "range") {
    expect(2, 2);
    const auto begin = number(1, 0);
    return run(begin, check(number(2, begin + 1)));
  }
  expect(1, word == "random" ? 2 : 1);
  const std::int64_t n = check(number(1, 1));
  if (word == "first") return run(0, n);
  if (word == "stratified") return stratified(select, n, labels, classes);
  Stream stream(parts.size() == 3 ? static_cast<std::uint64_t>(number(2, 0)) : 0, {});
  const auto chosen =
      choose_distinct(stream, static_cast<std::uint64_t>(size), static_cast<std::uint64_t>(n));
  return {chosen.begin(), chosen.end()};
}

}  // namespace temblor
