#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

#include <temblor/random/stream.hpp>

using namespace temblor;

TEST_CASE("Philox4x32-10 known answers (Random123 kat_vectors)") {
  // counter 0, key 0 -> 6627e8d5 e169c58d bc57ac4c 9b00dbd8
  Stream zero(0, {});
  CHECK(zero.word() == 0x6627e8d5U);
  CHECK(zero.word() == 0xe169c58dU);
  CHECK(zero.word() == 0xbc57ac4cU);
  CHECK(zero.word() == 0x9b00dbd8U);
}

TEST_CASE("streams differ in every part of their id, and in the seed") {
  std::set<std::uint64_t> first;
  for (std::uint32_t i = 0; i < 4; ++i) {
    for (const StreamId id : {StreamId{i + 1, 0, 0}, StreamId{0, i + 1, 0}, StreamId{0, 0, i + 1}}) {
      first.insert(Stream(7, id).word64());
    }
    first.insert(Stream(i, {}).word64());
  }
  CHECK(first.size() == 16);
}

TEST_CASE("choose_distinct gives k sorted distinct values, choose_each covers its ends") {
  Stream stream(1, {});
  for (const std::uint64_t k : {0U, 1U, 10U, 100U}) {
    const auto chosen = choose_distinct(stream, 100, k);
    CHECK(chosen.size() == k);
    CHECK(std::is_sorted(chosen.begin(), chosen.end()));
    CHECK(std::set(chosen.begin(), chosen.end()).size() == k);
    CHECK(std::all_of(chosen.begin(), chosen.end(), [](auto v) { return v < 100; }));
  }
  CHECK(choose_each(stream, 100, 0).empty());
  CHECK(choose_each(stream, 100, 1).size() == 100);
  CHECK(choose_each(stream, 100, 1e-300).empty());
}

TEST_CASE("a permutation holds every index once") {
  Stream stream(3, {});
  auto order = permutation(stream, 50);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::uint32_t i = 0; i < 50; ++i) CHECK(order[i] == i);
}
