#include <bit>
#include <set>

#include <catch2/catch.hpp>

#include <temblor/perturb/secded.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;

namespace {

/// Inverts bit `place` of a word and its check bits, data first.
void invert(int place, int data_bits, std::uint64_t& data, std::uint32_t& check) {
  if (place < data_bits) {
    data ^= std::uint64_t{1} << place;
  } else {
    check ^= 1U << (place - data_bits);
  }
}

std::vector<std::uint64_t> words(int data_bits) {
  Stream stream(3, {});
  std::vector<std::uint64_t> all{0, ~std::uint64_t{0}};
  for (int i = 0; i < 6; ++i) all.push_back(stream.word64());
  for (auto& word : all) word = data_bits == 64 ? word : word & 0xffffffffU;
  return all;
}

}  // namespace

TEST_CASE("every column of the SECDED codes is of odd weight, alone in its code, and rows are even") {
  for (const int data_bits : {64, 32}) {
    const Secded code(data_bits);
    CHECK(code.check_bits() == (data_bits == 64 ? 8 : 7));
    std::set<std::uint32_t> columns;
    for (int k = 0; k < code.check_bits(); ++k) columns.insert(1U << k);
    std::vector<int> row(static_cast<std::size_t>(code.check_bits()), 0);
    for (int i = 0; i < data_bits; ++i) {
      const auto column = code.column(i);
      CHECK(columns.insert(column).second);
      CHECK(std::popcount(column) % 2 == 1);
      for (int k = 0; k < code.check_bits(); ++k) row[static_cast<std::size_t>(k)] += column >> k & 1;
    }
    CHECK(columns.size() == static_cast<std::size_t>(data_bits + code.check_bits()));
    for (const int ones : row) {
      if (data_bits == 64) CHECK(ones == 26);
      if (data_bits == 32) CHECK((ones == 13 || ones == 14));
    }
  }
}

TEST_CASE("SECDED corrects every single and detects every double error of a word") {
  for (const int data_bits : {64, 32}) {
    const Secded code(data_bits);
    const int bits = data_bits + code.check_bits();
    for (const std::uint64_t word : words(data_bits)) {
      const std::uint32_t check = code.encode(word);
      const auto clean = code.decode(word, check);
      CHECK((clean.data == word && !clean.corrected && !clean.detected));
      int singles = 0, doubles = 0;
      for (int i = 0; i < bits; ++i) {
        std::uint64_t data = word;
        std::uint32_t stored = check;
        invert(i, data_bits, data, stored);
        const auto one = code.decode(data, stored);
        singles += one.data == word && one.corrected && !one.detected ? 1 : 0;
        for (int j = 0; j < i; ++j) {
          std::uint64_t both = data;
          std::uint32_t both_check = stored;
          invert(j, data_bits, both, both_check);
          const auto two = code.decode(both, both_check);
          doubles += two.detected && !two.corrected && two.data == both ? 1 : 0;
        }
      }
      CHECK(singles == bits);
      CHECK(doubles == bits * (bits - 1) / 2);
    }
  }
}

TEST_CASE("SECDED decodes inverted bits alone as it decodes them on a word; triples may be miscorrected") {
  Stream stream(5, {});
  for (const int data_bits : {64, 32}) {
    const Secded code(data_bits);
    int miscorrected = 0, detected = 0;
    for (int trial = 0; trial < 2000; ++trial) {
      const std::uint64_t word = data_bits == 64 ? stream.word64() : stream.word();
      std::uint64_t error = 0;
      std::uint32_t check_error = 0;
      const auto count = 3 + stream.below(3);
      for (const auto place :
           choose_distinct(stream, static_cast<std::uint64_t>(data_bits + code.check_bits()), count)) {
        invert(static_cast<int>(place), data_bits, error, check_error);
      }
      const auto alone = code.decode(error, check_error);
      const auto read = code.decode(word ^ error, code.encode(word) ^ check_error);
      REQUIRE((read.data ^ word) == alone.data);
      REQUIRE(read.corrected == alone.corrected);
      REQUIRE(read.detected == alone.detected);
      miscorrected += alone.corrected && alone.data != 0 ? 1 : 0;
      detected += alone.detected ? 1 : 0;
    }
    CHECK(miscorrected > 100);
    CHECK(detected > 100);
  }
}
