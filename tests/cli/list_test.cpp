#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/program.hpp>

#include <temblor/attacks/attack.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/bound.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/architecture.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/train/loss.hpp>

using namespace temblor;
using temblor::testing::run_line;

namespace {

template <class Table>
std::vector<std::string> names(const Table& table) {
  std::vector<std::string> all;
  for (const auto& entry : table) all.push_back(entry.name);
  return all;
}

std::vector<std::pair<std::string, std::vector<std::string>>> tables() {
  return {{"attacks", names(attack_table())},
          {"bounds", names(bound_table())},
          {"formats", names(format_table())},
          {"datasets", names(dataset_table())},
          {"layers", names(layer_table())},
          {"losses", names(loss_table())},
          {"architectures", names(architecture_table())}};
}

}  // namespace

TEST_CASE("list prints every entry of every table, as text and as JSON") {
  for (const auto& [table, entries] : tables()) {
    CAPTURE(table);
    const auto text = run_line("list " + table);
    CHECK(text.code == 0);
    CHECK(text.err.empty());
    const auto json = run_line("list --json " + table);
    REQUIRE(json.code == 0);
    const auto parsed = nlohmann::json::parse(json.out);
    REQUIRE(parsed.size() == entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      CAPTURE(entries[i]);
      CHECK_THAT("\n" + text.out, Catch::Contains("\n" + entries[i] + "\n"));
      CHECK(parsed[i]["name"] == entries[i]);
      CHECK_FALSE(parsed[i]["help"].get<std::string>().empty());
      CHECK_THAT(parsed[i]["example"].get<std::string>(), Catch::Contains(entries[i]));
      const auto one = run_line("list " + table + " " + entries[i]);
      CHECK(one.out.find(entries[i] + "\n") == 0);
      CHECK_THAT(text.out, Catch::Contains(one.out));
    }
    CHECK_THAT(text.out, !Catch::Contains(" \n"));
  }
}

TEST_CASE("list attacks tells parameters with range, default and unit, and what severity measures") {
  const auto parsed = nlohmann::json::parse(run_line("list attacks --json").out);
  for (std::size_t i = 0; i < parsed.size(); ++i) {
    const auto& entry = attack_table()[i];
    const auto& params = parsed[i]["parameters"];
    REQUIRE(params.size() == entry.params.size());
    for (std::size_t p = 0; p < params.size(); ++p) {
      CAPTURE(entry.name, entry.params[p].name);
      CHECK(params[p]["name"] == entry.params[p].name);
      CHECK(params[p]["default"] == entry.params[p].initial);
      CHECK(params[p]["unit"] == entry.params[p].unit);
      CHECK((params[p]["range"].is_array() || params[p]["type"] == "text" || params[p]["type"] == "file"));
    }
    CHECK_FALSE(parsed[i]["severity"].empty());
  }
  const auto text = run_line("list attacks bit-flip").out;
  CHECK_THAT(text, Catch::Contains("ber | nested | count"));
  CHECK_THAT(text, Catch::Contains("mode=count"));
  const auto fields = nlohmann::json::parse(run_line("list formats bf16 --json").out)[0]["fields"];
  CHECK(fields[1] == nlohmann::json{{"name", "exponent"}, {"bits", 8}, {"range", {7, 14}}});
}

TEST_CASE("list refuses unknown tables and entries with the nearest one") {
  const auto table = run_line("list attack");
  CHECK(table.code == 2);
  CHECK(table.out.empty());
  CHECK_THAT(table.err, Catch::Contains("did you mean 'attacks'?"));
  const auto entry = run_line("list attacks bitflip");
  CHECK(entry.code == 2);
  CHECK_THAT(entry.err, Catch::Contains("unknown attack 'bitflip': did you mean 'bit-flip'?"));
  CHECK(run_line("list").code == 2);
}
