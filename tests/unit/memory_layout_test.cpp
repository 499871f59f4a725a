#include <algorithm>
#include <map>
#include <set>

#include <catch2/catch.hpp>
#include <support/networks.hpp>

#include <temblor/base/error.hpp>
#include <temblor/perturb/memory_layout.hpp>
#include <temblor/perturb/population.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

std::vector<Encoded> codes_of(const std::string& format) {
  return store(random_network("7-5-3", 2, true), find_format(format)).codes;
}

}  // namespace

TEST_CASE("the default memory holds the codes in the order of their layers, packed in words of 64 bits") {
  const auto codes = codes_of("int6");
  const MemoryLayout layout({}, codes);
  CHECK(layout.bits() == 50 * 6);
  CHECK(layout.words() == 5);
  CHECK(layout.rows() == 1);
  CHECK(layout.columns() == 65536);
  std::uint64_t address = 0;
  for (std::uint32_t layer = 0; layer < 2; ++layer) {
    CHECK(layout.span(static_cast<int>(layer)).first == address);
    for (std::uint32_t index = 0; index < codes[layer].codes.size(); ++index) {
      for (std::uint32_t bit = 0; bit < 6; ++bit, ++address) {
        REQUIRE(layout.address({layer, index, bit}) == address);
        REQUIRE(layout.cell(address) == MemoryCell{0, 0, address});
      }
    }
    CHECK(layout.span(static_cast<int>(layer)).second == address);
  }
}

TEST_CASE("every stored bit has an address and a cell of its own, whatever the sizes") {
  for (const auto* format : {"int8", "int6", "fp32"}) {
    const auto codes = codes_of(format);
    for (const int word : {1, 7, 64}) {
      for (const std::int64_t row : {1, 6, 12}) {
        for (const std::int64_t banks : {1, 3, 4}) {
          for (const auto interleave : {Interleave::none, Interleave::word, Interleave::row}) {
            for (const std::int64_t group : {1, 3}) {
              if (row % group != 0) continue;
              MemorySpec spec{word, row, banks, interleave, group, word == 7, banks == 3};
              CAPTURE(format, word, row, banks, static_cast<int>(interleave), group);
              const MemoryLayout layout(spec, codes);
              std::set<MemoryCell> cells;
              std::set<BitAddress> bits;
              for (std::uint64_t address = 0; address < layout.bits(); ++address) {
                const auto bit = layout.bit_at(address);
                REQUIRE(layout.address(bit) == address);
                const auto span = layout.span(static_cast<int>(bit.layer));
                REQUIRE((span.first <= address && address < span.second));
                bits.insert(bit);
                const auto cell = layout.cell(address);
                REQUIRE((cell.bank < layout.banks() && cell.row < layout.rows() &&
                         cell.column < layout.columns()));
                REQUIRE(layout.stored_in(cell) == address);
                cells.insert(cell);
              }
              REQUIRE(cells.size() == layout.bits());
              REQUIRE(bits.size() == layout.bits());
              // All other cells are empty, and there is no whole row too many in every bank.
              std::uint64_t filled = 0;
              for (std::uint64_t b = 0; b < layout.banks(); ++b)
                for (std::uint64_t r = 0; r < layout.rows(); ++r)
                  for (std::uint64_t c = 0; c < layout.columns(); ++c)
                    filled += layout.stored_in({b, r, c}).has_value();
              REQUIRE(filled == layout.bits());
              REQUIRE((layout.rows() - 1) * layout.columns() < layout.bits());
              REQUIRE_FALSE(layout.stored_in({layout.banks(), 0, 0}));
              REQUIRE_FALSE(layout.stored_in({0, layout.rows(), 0}));
              REQUIRE_FALSE(layout.stored_in({0, 0, layout.columns()}));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("interleaving, bit interleaving and address order do what their names say") {
  const auto codes = codes_of("int8");  // 35 + 15 weights
  const auto cell = [&](const MemorySpec& spec, std::uint64_t address) {
    return MemoryLayout(spec, codes).cell(address);
  };
  // Words of one code, rows of four words: 13 rows.
  CHECK(cell({.word = 8, .row = 4, .banks = 2}, 8 * 4 * 6) == MemoryCell{0, 6, 0});
  CHECK(cell({.word = 8, .row = 4, .banks = 2}, 8 * 4 * 7) == MemoryCell{1, 0, 0});
  CHECK(cell({.word = 8, .row = 4, .banks = 2, .interleave = Interleave::word}, 8 * 3 + 5) ==
        MemoryCell{1, 0, 8 + 5});
  CHECK(cell({.word = 8, .row = 4, .banks = 2, .interleave = Interleave::row}, 8 * 4 * 3) ==
        MemoryCell{1, 1, 0});
  // Bit 0 of two words, then bit 1 of both, ...
  const MemorySpec alternating{.word = 8, .row = 4, .bit_interleave = 2};
  CHECK(cell(alternating, 0) == MemoryCell{0, 0, 0});
  CHECK(cell(alternating, 8) == MemoryCell{0, 0, 1});
  CHECK(cell(alternating, 1) == MemoryCell{0, 0, 2});
  CHECK(cell(alternating, 16) == MemoryCell{0, 0, 16});
  const MemoryLayout turned({.column_major = true, .reverse_layers = true}, codes);
  CHECK(turned.bit_at(0) == BitAddress{1, 0, 0});
  CHECK(turned.bit_at(8) == BitAddress{1, 5, 0});   // output 1, input 0 of [3 x 5]
  CHECK(turned.bit_at(24) == BitAddress{1, 1, 0});  // output 0, input 1
  CHECK(turned.bit_at(15 * 8) == BitAddress{0, 0, 0});
}

TEST_CASE("a memory that cannot be is refused by its key") {
  const auto refused = [](const std::map<std::string, std::string>& given) {
    try {
      memory_spec("[memory]", given);
    } catch (const Error& error) {
      CHECK(error.code() == Exit::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refused({}) == "accepted");
  CHECK(memory_spec("[memory]", {}) == MemorySpec{});
  CHECK_THAT(refused({{"word", "0"}}), Catch::Contains("[memory], word"));
  CHECK_THAT(refused({{"wrod", "8"}}), Catch::Contains("'word'"));
  CHECK_THAT(refused({{"interleave", "rows"}}), Catch::Contains("'row'"));
  CHECK_THAT(refused({{"row", "10"}, {"bit-interleave", "4"}}), Catch::Contains("divisor of row"));
  CHECK(memory_spec("", {{"weights", "column-major"}, {"layers", "reverse"}, {"banks", "3"}}) ==
        MemorySpec{.banks = 3, .column_major = true, .reverse_layers = true});
}

TEST_CASE("rows, columns, banks and words hold exactly their cells, and only bits of the chosen layers") {
  const auto codes = codes_of("int6");
  for (const auto interleave : {Interleave::none, Interleave::word, Interleave::row}) {
    const MemorySpec spec{.word = 9, .row = 4, .banks = 3, .interleave = interleave, .bit_interleave = 2};
    const MemoryLayout layout(spec, codes);
    for (const LayerSet& layers : {LayerSet{0, 1}, LayerSet{0}, LayerSet{1}}) {
      for (const auto unit : {MemoryUnit::word, MemoryUnit::row, MemoryUnit::column, MemoryUnit::bank}) {
        CAPTURE(static_cast<int>(interleave), layers.front(), layers.size(), static_cast<int>(unit));
        std::map<std::vector<std::uint64_t>, std::set<std::uint64_t>> expected;
        for (std::uint64_t at = 0; at < layout.bits(); ++at) {
          const auto layer = static_cast<int>(layout.bit_at(at).layer);
          if (std::find(layers.begin(), layers.end(), layer) == layers.end()) continue;
          const auto cell = layout.cell(at);
          switch (unit) {
            case MemoryUnit::word:
              expected[{at / 9}].insert(at);
              break;
            case MemoryUnit::row:
              expected[{cell.bank, cell.row}].insert(at);
              break;
            case MemoryUnit::column:
              expected[{cell.bank, cell.column}].insert(at);
              break;
            case MemoryUnit::bank:
              expected[{cell.bank}].insert(at);
              break;
          }
        }
        const MemoryUnits units(layout, unit, layers);
        REQUIRE(units.size() == expected.size());
        std::uint64_t i = 0;
        for (const auto& [key, cells] : expected) {
          const auto addresses = units.addresses(i++);
          REQUIRE(addresses.size() <= units.most_bits());
          REQUIRE(std::set<std::uint64_t>(addresses.begin(), addresses.end()) == cells);
          REQUIRE(addresses.size() == cells.size());
        }
      }
    }
  }
}

TEST_CASE("a population numbers the chosen bits of the chosen rows, layer by layer") {
  const std::vector<WordGrid> grids = {{0, 4, 3}, {2, 3, 2}};
  const BitPopulation all(grids, {0, 1, 2}, {});
  CHECK(all.size() == 36 + 18);
  CHECK(all.at(0) == BitAddress{0, 0, 0});
  CHECK(all.at(35) == BitAddress{0, 11, 2});
  CHECK(all.at(36) == BitAddress{2, 0, 0});
  const BitPopulation some(grids, {1, 7}, {0, 2});
  CHECK(some.size() == 12 + 8);
  CHECK(some.at(5) == BitAddress{0, 2, 7});
  CHECK(some.at(6) == BitAddress{0, 6, 1});
  CHECK(some.at(19) == BitAddress{2, 5, 7});
  std::set<BitAddress> different;
  for (std::uint64_t i = 0; i < all.size(); ++i) different.insert(all.at(i));
  CHECK(different.size() == all.size());
}
