#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/base/params.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>

using namespace temblor;

TEST_CASE("an error has one grammar: problem (why): cure") {
  const Error error(Exit::usage, "eps '-1'", "negative", "give a number of at least 0");
  CHECK(std::string(error.what()) == "eps '-1' (negative): give a number of at least 0");
  CHECK(error.code() == Exit::usage);
}

TEST_CASE("reals: lists, log and lin ranges, exact end points") {
  CHECK(parse_reals("1e-3", "eps") == std::vector<double>{1e-3});
  CHECK(parse_reals("1, 2 ,3", "eps") == std::vector<double>{1, 2, 3});
  const auto log = parse_reals("1e-4:1e-2:log:5", "eps");
  REQUIRE(log.size() == 5);
  CHECK(log.front() == 1e-4);
  CHECK(log.back() == 1e-2);
  CHECK(log[2] == Approx(1e-3));
  CHECK(parse_reals("0:1:lin:3", "eps") == std::vector<double>{0, 0.5, 1});
}

TEST_CASE("numbers that are none are refused") {
  for (const auto* text :
       {"", "nan", "inf", "1x", "0x1", "1e999", "--1", "1:2:3", "1:2:log:1", "0:1:log:3", "1,,2"}) {
    CHECK_THROWS_AS(parse_reals(text, "eps"), Error);
  }
  CHECK_THROWS_AS(parse_real("-1", "eps", 0.0), Error);
  CHECK_THROWS_AS(parse_integer("-3", "trials", 1, 10), Error);
  CHECK_THROWS_AS(parse_integer("3.5", "trials"), Error);
  CHECK_THROWS_AS(parse_integer("99999999999999999999", "trials"), Error);
  CHECK(parse_integer("-3", "offset") == -3);
}

TEST_CASE("a misspelt name gets the nearest known one") {
  CHECK(nearest("wieght-pgd", {"weight-pgd", "bit-flip"}) == "weight-pgd");
  CHECK(nearest("zzz", {"weight-pgd", "bit-flip"}).empty());
  CHECK_THROWS_WITH(unknown_name("attack", "bitflip", {"weight-pgd", "bit-flip"}),
                    Catch::Contains("did you mean 'bit-flip'?"));
}

TEST_CASE("doubles are written in the shortest form that reads back") {
  for (const double value : {0.1, 1e-3, 1.0 / 3.0, 123456789.0, 5e-324})
    CHECK(parse_real(to_text(value), "x") == value);
  CHECK(to_text(0.1) == "0.1");
}

TEST_CASE("SHA-256 of 'abc' is that of FIPS 180-4") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256().add("a").add("bc").hex() == sha256_hex("abc"));
  CHECK_THROWS_AS(sha256_file("/nonexistent"), Error);
}

TEST_CASE("parameters: defaults, ranges, choices, unknown names") {
  const std::vector<ParamSpec> specs = {
      {"steps", ParamType::integer, "20", "steps", "", 1, 100},
      {"rate", ParamType::real, "0.5", "rate", "", 0, 1},
      {"mode", ParamType::choice, "a", "mode", "", 0, 0, {"a", "b"}},
      {"bias", ParamType::flag, "false", "bias"},
  };
  const Params params("attack 'x'", specs, {{"rate", "0.25"}});
  CHECK(params.integer("steps") == 20);
  CHECK(params.real("rate") == 0.25);
  CHECK(params.canonical() == "bias=false mode=a rate=0.25 steps=20");
  CHECK_THROWS_WITH(Params("attack 'x'", specs, {{"step", "3"}}), Catch::Contains("did you mean 'steps'"));
  CHECK_THROWS_AS(Params("attack 'x'", specs, {{"steps", "0"}}), Error);
  CHECK_THROWS_AS(Params("attack 'x'", specs, {{"mode", "c"}}), Error);
  CHECK_THROWS_AS(Params("attack 'x'", specs, {{"bias", "1"}}), Error);
}
