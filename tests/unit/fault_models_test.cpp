#include <algorithm>
#include <set>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/error.hpp>
#include <temblor/perturb/memory_layout.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

using Given = std::map<std::string, std::string>;

struct Bench {
  Network network = random_network("6-5-4", 9, true);
  Dataset data = random_dataset(network, 2, 1);
  std::map<std::string, StoredNetwork> stored;

  Bench() {
    for (const auto* name : {"int8", "int6", "fp32", "int4-channel"})
      stored.emplace(name, store(network, find_format(name)));
  }
  std::unique_ptr<Attack> attack(const std::string& name, double severity, const Given& given,
                                 const std::string& format = "int8", const LayerSet& layers = {0, 1},
                                 const MemorySpec& memory = {}) const {
    const auto& entry = find_attack(name);
    const auto& base = stored.at(format);
    return make_attack(entry, {base.network, data, *base.format, layers, severity,
                               Params("attack '" + name + "'", entry.params, given), &base, memory});
  }
  std::string refused(const std::string& name, double severity, const Given& given,
                      const LayerSet& layers = {0, 1}) const {
    try {
      attack(name, severity, given, "int8", layers);
    } catch (const Error& error) {
      CHECK(error.code() == Exit::usage);
      return error.what();
    }
    return "accepted";
  }
};

std::set<BitAddress> bits_of(const Perturbation& perturbation) {
  std::set<BitAddress> bits;
  for (const auto& fault : perturbation.faults) bits.insert({fault.layer, fault.index, fault.bit});
  REQUIRE(bits.size() == perturbation.faults.size());
  return bits;
}

}  // namespace

TEST_CASE(
    "nested faults at a lower rate are some of those at a higher one, at the same trial of any points") {
  const Bench bench;
  struct Row {
    const char* attack;
    Given given;
  };
  const Row rows[] = {{"bit-flip", {}},
                      {"bit-flip", {{"field", "sign"}, {"channel", "1+3"}}},
                      {"stuck-at", {{"value", "1"}}},
                      {"stuck-at", {{"value", "random"}}},
                      {"asymmetric", {{"p01", "0.3"}, {"p10", "1"}}},
                      {"burst", {{"length", "5"}}},
                      {"word", {{"value", "random"}}},
                      {"word", {{"unit", "memory"}, {"value", "random"}}},
                      {"memory", {{"unit", "column"}, {"value", "random"}}}};
  for (const auto& row : rows) {
    CAPTURE(row.attack, row.given);
    Given given = row.given;
    given["mode"] = "nested";
    std::size_t grew = 0, other = 0;
    for (std::uint32_t trial = 0; trial < 30; ++trial) {
      std::set<BitAddress> before;
      std::uint32_t point = 0;
      for (const double rate : {1e-3, 1e-2, 0.1, 0.4, 1.0}) {
        const auto attack = bench.attack(row.attack, rate, given, "int8", {0, 1}, {.word = 24, .row = 3});
        const auto bits = bits_of(attack->perturb(Stream(5, {point++, trial, 0})));
        REQUIRE(std::includes(bits.begin(), bits.end(), before.begin(), before.end()));
        grew += bits.size() > before.size() ? 1 : 0;
        before = bits;
        other += bits != bits_of(attack->perturb(Stream(5, {point, trial + 100, 0}))) ? 1 : 0;
      }
    }
    CHECK(grew > 30);
    CHECK(other > 30);
  }
}

TEST_CASE("nested draws of rate 1 hit everything once, of rate 0 nothing, whatever the rate the same marks") {
  const Stream stream(3, {0, 4, 0});
  CHECK(choose_nested(stream, 1000, 0).empty());
  CHECK(choose_nested(stream, 0, 1).empty());
  const auto all = choose_nested(stream, 1000, 1);
  REQUIRE(all.size() == 1000);
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i].position == i);
  for (const auto& one : choose_nested(stream, 1000, 0.1)) {
    CHECK(one.hash <= 0.1);
    CHECK(one.hash == all[one.position].hash);
    CHECK(one.mark == all[one.position].mark);
  }
  // The cost follows the hits: a population that could never be walked through.
  CHECK(choose_nested(stream, std::uint64_t{1} << 52U, 1e-14).size() < 200);
}

TEST_CASE("stuck-at and asymmetric faults at rate 1 change exactly the bits that hold the other value") {
  const Bench bench;
  for (const auto* format : {"int8", "fp32", "int4-channel"}) {
    const auto& codes = bench.stored.at(format).codes;
    std::set<BitAddress> zeros, ones;
    for (std::uint32_t layer = 0; layer < 2; ++layer) {
      for (std::uint32_t i = 0; i < codes[layer].codes.size(); ++i) {
        for (std::uint32_t bit = 0; bit < static_cast<unsigned>(codes[layer].format->bits); ++bit)
          ((codes[layer].codes[i] >> bit & 1U) != 0 ? ones : zeros).insert({layer, i, bit});
      }
    }
    const auto bits = [&](const std::string& name, const Given& given) {
      return bits_of(bench.attack(name, 1, given, format)->perturb(Stream(1, {})));
    };
    CHECK(bits("stuck-at", {{"value", "0"}}) == ones);
    CHECK(bits("stuck-at", {{"value", "1"}}) == zeros);
    CHECK(bits("asymmetric", {}) == zeros);
    CHECK(bits("asymmetric", {{"p01", "0"}, {"p10", "1"}}) == ones);
    CHECK(bits("asymmetric", {{"p10", "1"}}).size() == zeros.size() + ones.size());
    CHECK(bits("asymmetric", {{"p01", "0"}}).empty());
    CHECK(bits("word", {{"value", "zero"}}) == ones);
    CHECK(bits("word", {{"value", "ones"}, {"unit", "memory"}}) == zeros);
    CHECK(bits("memory", {{"unit", "bank"}, {"value", "zero"}}) == ones);
    CHECK(bits("burst", {{"value", "ones"}}) == zeros);
  }
}

TEST_CASE("a failed row, column or bank is exactly its cells, of the chosen layers alone") {
  const Bench bench;
  const MemorySpec memory{
      .word = 12, .row = 6, .banks = 3, .interleave = Interleave::word, .bit_interleave = 2};
  for (const auto* format : {"int8", "int6"}) {
    const MemoryLayout layout(memory, bench.stored.at(format).codes);
    for (const LayerSet& layers : {LayerSet{0, 1}, LayerSet{1}}) {
      for (const std::string unit : {"row", "column", "bank"}) {
        const auto attack = bench.attack(
            "memory", 1, {{"mode", "count"}, {"unit", unit}, {"value", "invert"}}, format, layers, memory);
        for (std::uint32_t trial = 0; trial < 40; ++trial) {
          const auto found = bits_of(attack->perturb(Stream(2, {0, trial, 0})));
          REQUIRE_FALSE(found.empty());
          const auto one = layout.cell(layout.address(*found.begin()));
          std::set<BitAddress> expected;
          for (std::uint64_t at = 0; at < layout.bits(); ++at) {
            const auto cell = layout.cell(at);
            const bool same = cell.bank == one.bank && (unit != "row" || cell.row == one.row) &&
                              (unit != "column" || cell.column == one.column);
            const auto bit = layout.bit_at(at);
            if (same && std::find(layers.begin(), layers.end(), static_cast<int>(bit.layer)) != layers.end())
              expected.insert(bit);
          }
          REQUIRE(found == expected);
        }
      }
    }
  }
}

TEST_CASE("bit interleaving spreads a burst over as many words") {
  const Bench bench;
  for (const std::int64_t group : {1, 4}) {
    const MemorySpec memory{.word = 8, .row = 8, .bit_interleave = group};
    const MemoryLayout layout(memory, bench.stored.at("int8").codes);
    const auto attack =
        bench.attack("burst", 1, {{"mode", "count"}, {"length", "4"}}, "int8", {0, 1}, memory);
    std::size_t most = 0;
    for (std::uint32_t trial = 0; trial < 100; ++trial) {
      std::map<std::uint64_t, std::size_t> words;
      for (const auto& bit : bits_of(attack->perturb(Stream(2, {0, trial, 0}))))
        most = std::max(most, ++words[layout.address(bit) / 8]);
    }
    CHECK(most == (group == 1 ? 4U : 1U));
  }
}

TEST_CASE("words: codes and memory words are replaced as a whole") {
  const Bench bench;
  for (const std::string value : {"zero", "ones", "random"}) {
    const auto attack = bench.attack("word", 3, {{"mode", "count"}, {"value", value}});
    for (std::uint32_t trial = 0; trial < 20; ++trial) {
      const auto perturbation = attack->perturb(Stream(2, {0, trial, 0}));
      const auto& delta = std::get<SparseDelta>(perturbation.delta);
      CHECK(delta.changes.size() <= 3);
      for (const auto& fault : perturbation.faults) {
        if (value == "random") continue;
        CHECK((fault.before >> fault.bit & 1U) == (value == "zero" ? 1U : 0U));
      }
    }
  }
  // 7.5 codes of 8 bits a word of 60: one word touches up to nine codes.
  const MemorySpec memory{.word = 60};
  const MemoryLayout layout(memory, bench.stored.at("int8").codes);
  const auto attack = bench.attack("word", 1, {{"mode", "count"}, {"unit", "memory"}, {"value", "invert"}},
                                   "int8", {0, 1}, memory);
  for (std::uint32_t trial = 0; trial < 20; ++trial) {
    const auto bits = bits_of(attack->perturb(Stream(2, {0, trial, 0})));
    const std::uint64_t word = layout.address(*bits.begin()) / 60;
    CHECK(bits.size() == std::min<std::uint64_t>(60, layout.bits() - word * 60));
    for (const auto& bit : bits) CHECK(layout.address(bit) / 60 == word);
  }
}

TEST_CASE("faults of chosen channels stay in their rows") {
  const Bench bench;
  std::set<std::uint32_t> rows;
  for (const auto* mode : {"ber", "nested"}) {
    const auto attack = bench.attack("bit-flip", 0.5, {{"mode", mode}, {"channel", "3+1"}});
    for (const auto& bit : bits_of(attack->perturb(Stream(2, {}))))
      rows.insert(bit.index / (bit.layer == 0 ? 6 : 5));
  }
  CHECK(rows == std::set<std::uint32_t>{1, 3});
  const auto all = bench.attack("stuck-at", 11 * 8, {{"mode", "count"}, {"channel", "0"}, {"value", "1"}});
  for (const auto& bit : bits_of(all->perturb(Stream(2, {})))) CHECK(bit.index < (bit.layer == 0 ? 6U : 5U));
  CHECK_THAT(bench.refused("bit-flip", 0.1, {{"channel", "4"}}), Catch::Contains("layer 'dense2' stores 4"));
  CHECK(bench.refused("bit-flip", 0.1, {{"channel", "4"}}, {0}) == "accepted");
  CHECK_THAT(bench.refused("bit-flip", 0.1, {{"channel", "x"}}), Catch::Contains("channel"));
  CHECK_THAT(bench.refused("bit-flip", 0.1, {{"channel", "1"}, {"target", "scales"}}),
             Catch::Contains("stores 1"));
  // One scale a row: the third one of each layer.
  const auto scale = bench.attack("bit-flip", 0.9, {{"channel", "2"}, {"target", "scales"}}, "int4-channel");
  for (const auto& bit : bits_of(scale->perturb(Stream(2, {})))) CHECK(bit.index == 2);
}

TEST_CASE("more faults than there is room for are refused") {
  const Bench bench;  // 30 + 20 weights
  const Given count = {{"mode", "count"}};
  CHECK_THAT(bench.refused("stuck-at", 401, count),
             Catch::Contains("attack 'stuck-at', cells 401") && Catch::Contains("hold 400 bits"));
  CHECK_THAT(bench.refused("word", 51, count), Catch::Contains("words 51") && Catch::Contains("50 codes"));
  CHECK_THAT(bench.refused("word", 8, {{"mode", "count"}, {"unit", "memory"}}), Catch::Contains("7 words"));
  CHECK_THAT(bench.refused("memory", 2, count), Catch::Contains("failures 2") && Catch::Contains("1 rows"));
  CHECK_THAT(bench.refused("burst", 401, count), Catch::Contains("bursts 401"));
  CHECK(bench.refused("burst", 400, count) == "accepted");
  CHECK_THAT(bench.refused("burst", 0.1, {{"length", "0"}}), Catch::Contains("length"));
}

TEST_CASE("a number of faults bounds the flips; a rate bounds nothing") {
  const Bench bench;
  const auto flips = [&](const std::string& name, double severity, Given given) {
    given["mode"] = "count";
    const auto set = bench.attack(name, severity, given)->threat();
    REQUIRE(set.budget.flips != nullptr);
    CHECK(set.severity == severity);
    given["mode"] = name == "bit-flip" ? "ber" : "rate";
    CHECK(bench.attack(name, 0.5, given)->threat().budget.flips == nullptr);
    return set.budget.count;
  };
  CHECK(flips("bit-flip", 3, {}) == 3);
  CHECK(flips("stuck-at", 3, {}) == 3);
  CHECK(flips("burst", 3, {{"length", "5"}}) == 15);
  CHECK(flips("word", 3, {}) == 24);
  CHECK(flips("word", 3, {{"unit", "memory"}}) == 192);
  CHECK(flips("memory", 1, {}) == 400);  // no more than there are
  CHECK(flips("memory", 2, {{"unit", "column"}}) == 2);
}
