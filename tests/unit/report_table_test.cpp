#include <limits>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <temblor/base/error.hpp>
#include <temblor/report/table.hpp>

using namespace temblor;

namespace {

Table sample() {
  Table table{.columns = {{"attack"}, {"eps"}, {"changed"}}, .rows = {}};
  table.add({std::string("größe, \"x\""), 1e-3, std::int64_t{12}});
  table.add({std::string("b"), 1.0 / 3.0, std::monostate{}});
  return table;
}

std::string rendered(const Table& table, TableFormat format) {
  std::ostringstream out;
  write(out, table, format);
  return out.str();
}

}  // namespace

TEST_CASE("a text table aligns by characters, numbers to the right") {
  CHECK(rendered(sample(), TableFormat::text) ==
        "attack         eps  changed\n"
        "größe, \"x\"   0.001       12\n"
        "b           0.3333\n");
}

TEST_CASE("CSV quotes what needs it and keeps every digit") {
  CHECK(rendered(sample(), TableFormat::csv) ==
        "attack,eps,changed\n\"größe, \"\"x\"\"\",0.001,12\nb,0.3333333333333333,\n");
}

TEST_CASE("JSON reads back, non-finite numbers as text") {
  auto table = sample();
  table.add({std::string("bad \xff utf-8"), std::numeric_limits<double>::infinity(), std::int64_t{0}});
  const auto json = nlohmann::json::parse(rendered(table, TableFormat::json));
  REQUIRE(json.size() == 3);
  CHECK(json[1]["eps"] == 1.0 / 3.0);
  CHECK(json[1]["changed"].is_null());
  CHECK(json[2]["eps"] == "inf");
  CHECK(nlohmann::json::parse(rendered(Table{.columns = {{"a"}}, .rows = {}}, TableFormat::json)).empty());
}

TEST_CASE("a row of the wrong width and an unknown format are refused") {
  auto table = sample();
  CHECK_THROWS_AS(table.add({1.0}), Error);
  CHECK_THROWS_WITH(parse_table_format("jsn", "--format"), Catch::Contains("did you mean 'json'?"));
}

TEST_CASE("wrapping breaks at blanks and indents what follows") {
  CHECK(wrap("one two three", 7, 2) == "one two\n  three");
  CHECK(wrap("incomprehensibilities x", 5) == "incomprehensibilities\nx");
  CHECK(wrap("", 5).empty());
}
