#include <set>

#include <catch2/catch.hpp>

#include <temblor/perturb/data_words.hpp>

using namespace temblor;

namespace {

/// Codes of two layers, [2 x 3] and [1 x 5].
std::vector<Encoded> codes(const std::string& format) {
  std::vector<Encoded> all;
  for (const auto& [rows, cols] : {std::pair{2, 3}, std::pair{1, 5}}) {
    Encoded encoded;
    encoded.format = &find_format(format);
    encoded.rows = static_cast<std::size_t>(rows);
    encoded.cols = static_cast<std::size_t>(cols);
    encoded.codes.resize(encoded.rows * encoded.cols);
    all.push_back(std::move(encoded));
  }
  return all;
}

}  // namespace

TEST_CASE("every stored bit has one place in the words, and every place but the filling one bit") {
  for (const std::string format : {"int8", "int6", "fp32", "int2"}) {
    const auto stored = codes(format);
    const auto bits = static_cast<std::uint32_t>(find_format(format).bits);
    for (const int width : {64, 32, 7, 1}) {
      const DataWords words({MemorySpec{}, stored}, width);
      const std::uint64_t total = 11 * bits;
      CHECK(words.words() ==
            (total + static_cast<std::uint64_t>(width) - 1) / static_cast<std::uint64_t>(width));
      std::uint64_t number = 0;
      for (std::uint32_t layer = 0; layer < 2; ++layer) {
        for (std::uint32_t index = 0; index < stored[layer].codes.size(); ++index) {
          for (std::uint32_t bit = 0; bit < bits; ++bit, ++number) {
            const auto place = words.place({layer, index, bit});
            REQUIRE(place.word * static_cast<std::uint64_t>(width) + place.bit == number);
            REQUIRE(words.address(place) == BitAddress{layer, index, bit});
          }
        }
      }
      const DataWords::Place last{words.words() - 1, static_cast<unsigned>(width - 1)};
      CHECK(words.address(last).has_value() == (total % static_cast<std::uint64_t>(width) == 0));
    }
  }
}

TEST_CASE("the words of a layer are those with one of its bits; shared words count once") {
  using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
  const auto stored = codes("int8");  // 48 and 40 bits
  const DataWords words({MemorySpec{}, stored}, 32);
  CHECK(words.words_of({0}) == Ranges{{0, 2}});
  CHECK(words.words_of({1}) == Ranges{{1, 3}});
  CHECK(words.words_of({0, 1}) == Ranges{{0, 2}, {2, 3}});
  MemorySpec reversed;
  reversed.reverse_layers = true;
  const DataWords turned({reversed, stored}, 32);
  CHECK(turned.words_of({1}) == Ranges{{0, 2}});
  CHECK(turned.words_of({0}) == Ranges{{1, 3}});
  CHECK(turned.words_of({0, 1}) == Ranges{{0, 2}, {2, 3}});
  CHECK(turned.place({1, 0, 0}) == DataWords::Place{0, 0});
}
