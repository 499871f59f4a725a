#include <cstdlib>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/spec.hpp>

using namespace temblor;

namespace {

constexpr const char* whole = R"(title = "grid"
seed = 7
trials = 5

[network]
file = "net.h5"

[data]
set = "synthetic:classes=3,features=8,n=20"
split = "test"
select = "first:10"

[[attack]]
name = "weight-pgd"
eps = [1e-3, 2e-3]
layers = ["all", "0,2"]
format = ["fp32", "int8"]
steps = 3
random-start = false

[[attack]]
name = "bit-flip"
flips = "1,4"
trials = 100

[bounds]
names = ["interval"]
arithmetic = false
)";

std::string problem(const std::string& text) {
  try {
    parse_spec(text, "s.toml", "");
  } catch (const Error& error) {
    CHECK(error.code() == Exit::usage);
    return error.what();
  }
  return "accepted";
}

std::string override_problem(const Overrides& overrides) {
  auto spec = parse_spec(whole, "s.toml", "");
  try {
    apply(overrides, spec);
    check_complete(spec);
  } catch (const Error& error) {
    CHECK(error.code() == Exit::usage);
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a whole spec, and the same again from its own text") {
  const auto spec = parse_spec(whole, "s.toml", "");
  CHECK(spec.title == "grid");
  CHECK(spec.seed == 7);
  CHECK(spec.trials == 5);
  CHECK(spec.data.select == "first:10");
  REQUIRE(spec.attacks.size() == 2);
  CHECK(spec.attacks[0].severity == std::vector<double>{1e-3, 2e-3});
  CHECK(spec.attacks[0].layers == std::vector<std::string>{"all", "0+2"});
  CHECK(spec.attacks[0].format == std::vector<std::string>{"fp32", "int8"});
  CHECK(checked_params(spec.attacks[0]).integer("steps") == 3);
  CHECK_FALSE(checked_params(spec.attacks[0]).flag("random-start"));
  CHECK(spec.attacks[1].severity == std::vector<double>{1, 4});
  CHECK(spec.attacks[1].trials == 100);
  CHECK(spec.bounds == std::vector<std::string>{"interval"});
  CHECK_FALSE(spec.arithmetic);

  const auto text = to_toml(spec);
  CHECK(to_toml(parse_spec(text, "again.toml", "")) == text);
}

TEST_CASE("severities may be lists, ranges or one number") {
  const auto severities = [](const std::string& value) {
    return parse_spec("[[attack]]\nname = \"weight-pgd\"\neps = " + value + "\n", "s.toml", "")
        .attacks.at(0)
        .severity;
  };
  CHECK(severities("0.5") == std::vector<double>{0.5});
  CHECK(severities("1") == std::vector<double>{1});
  CHECK(severities("\"1e-3,2e-3\"") == std::vector<double>{1e-3, 2e-3});
  CHECK(severities("\"1:3:lin:3\"") == std::vector<double>{1, 2, 3});
}

TEST_CASE("paths of a spec are relative to its directory, names of sets are names") {
  const auto spec = parse_spec(whole, "x/s.toml", "x");
  CHECK(spec.network == "x/net.h5");
  CHECK(spec.data.set == "synthetic:classes=3,features=8,n=20");
  CHECK(parse_spec("[network]\nfile = \"/a/net.h5\"", "s", "x").network == "/a/net.h5");
  CHECK(parse_spec("[data]\nset = \"fashion-mnist\"", "s", "x").data.set == "fashion-mnist");
  CHECK(parse_spec("[data]\nset = \"images.csv\"", "s", "x").data.set == "x/images.csv");
}

TEST_CASE("what is wrong in a spec is named with its line and the nearest known key") {
  struct Row {
    const char* text;
    const char* begin;     ///< of the message
    const char* contains;  ///< somewhere in it
  };
  const std::string attack = "[[attack]]\nname = \"weight-pgd\"\n";
  const Row rows[] = {
      {"seed = ", "s.toml:1: not TOML", ""},
      {"trails = 3", "s.toml:1: unknown key 'trails'", "'trials'"},
      {"\nseed = 1.5", "s.toml:2: seed", "its type is floating-point"},
      {"seed = -1", "s.toml:1: seed", "-1"},
      {"trials = 0", "s.toml:1: trials", "0"},
      {"trials = 5000000000", "s.toml:1: trials", "5000000000"},
      {"title = 3", "s.toml:1: title", "text in quotes"},
      {"network = \"net.h5\"", "s.toml:1: network", "[network]"},
      {"[network]\nfil = \"net.h5\"", "s.toml:2: unknown key of [network]", "'file'"},
      {"[data]\nsett = \"x\"", "s.toml:2: unknown key of [data]", "'set'"},
      {"[data]\nsplit = \"tset\"", "s.toml:2: split", "'test'"},
      {"[bounds]\nnames = [\"intervall\"]", "s.toml:2: names", "'interval'"},
      {"[bounds]\nnames = []", "s.toml:2: names", "empty list"},
      {"[bounds]\nnames = [\"interval\"]\n[bounds.interval]\nsteps = 1", "s.toml:4: parameter 'steps'",
       "no parameters"},
      {"[bounds]\nnames = [\"interval\"]\n[bounds.intervall]\nsteps = 1", "s.toml:3: unknown key",
       "'interval'"},
      {"[bounds]\nnames = [\"interval\"]\ninterval = 1", "s.toml:3: interval", "a table"},
      {"[bounds]\narithmetic = 1", "s.toml:2: arithmetic", "true or false"},
      {"[memory]\nwrod = 64", "s.toml:2: unknown key of [memory]", "'word'"},
      {"[memory]\nword = 0", "s.toml:2: [memory], word", "0"},
      {"[memory]\nrow = 8\nword = \"wide\"", "s.toml:3: [memory], word", "wide"},
      {"[memory]\ninterleave = \"rows\"", "s.toml:2: unknown value of [memory], interleave", "'row'"},
      {"\n[memory]\nrow = 10\nbit-interleave = 4", "s.toml:2: [memory], bit-interleave", "divisor"},
      {"memory = 3", "s.toml:1: memory", "a table"},
      {"[voltage]\nvolts = [0.6]", "s.toml:1: [voltage] without rates", "rates"},
      {"[voltage]\nvolts = [0.6, 0.7]\nrates = [0.1]", "s.toml:1: [voltage]: 2 volts and 1 rates", "length"},
      {"[voltage]\nvolts = [0.6]\nrates = [0]", "s.toml:1: [voltage]: rate 0", "logarithm"},
      {"[voltage]\nvolts = [0.6]\nrates = [1.5]", "s.toml:3: rates", "1.5"},
      {"[voltage]\nvolts = [0.6, 0.6]\nrates = [0.1, 0.2]", "s.toml:1: [voltage]: 0.6 volts twice", ""},
      {"[voltage]\nvolt = [0.6]", "s.toml:2: unknown key of [voltage]", "'volts'"},
      {"[voltage]\nvolts = [0.6, 0.8]\nrates = [0.1, 0.2]\n[[attack]]\nname = \"bit-flip\"\nvolts = 0.9",
       "s.toml:6: volts 0.9", "0.6 to 0.8"},
      {"[[attack]]\nname = \"bit-flip\"\nvolts = -1", "s.toml:3: volts", "-1"},
      {"[[attack]]\nname = \"bit-flip\"\nber = 0.1\nvolts = 1", "s.toml:4: unknown key", "volts"},
      {"[[attack]]\nname = \"weight-pgd\"\nvolts = 1", "s.toml:3: unknown key", "volts"},
      {"attack = \"weight-pgd\"", "s.toml:1: attack", "[[attack]]"},
      {"attack = []", "s.toml:1: attack", "[[attack]]"},
      {"[[attack]]\neps = 1", "s.toml:1: [[attack]] without name", ""},
      {"[[attack]]\nname = \"weight-pdg\"", "s.toml:1: unknown attack", "'weight-pgd'"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto message = problem(row.text);
    CHECK(message.substr(0, std::string(row.begin).size()) == row.begin);
    CHECK(message.find(row.contains) != std::string::npos);
  }
  const Row attack_rows[] = {
      {"epps = 1e-3", "s.toml:3: unknown key of attack 'weight-pgd'", "'eps'"},
      {"ber = 1e-3", "s.toml:3: unknown key of attack 'weight-pgd'", "ber"},
      {"eps = -1e-3", "s.toml:3: eps", "-0.001"},
      {"eps = nan", "s.toml:3: eps", "nan"},
      {"eps = []", "s.toml:3: eps", "empty list"},
      {"eps = [1e-3, 1e-3]", "s.toml:3: eps", "twice"},
      {"eps = true", "s.toml:3: eps", "true"},
      {"eps = [[1]]", "s.toml:3: eps", "its type is array"},
      {"eps = 1e-3\nstep = -1", "s.toml:4: attack 'weight-pgd'", "step"},
      {"eps = 1e-3\nsteps = 1.5", "s.toml:4: attack 'weight-pgd'", "steps"},
      {"eps = 1e-3\nball = \"lnf\"", "s.toml:4: unknown value of attack 'weight-pgd', ball", "'linf'"},
      {"eps = 1e-3\nformat = \"int_8\"", "s.toml:4: format", "'int8'"},
      {"eps = 1e-3\nlayers = []", "s.toml:4: layers", "empty list"},
      {"eps = 1e-3\nlayers = [\"all\", \"all\"]", "s.toml:4: layers", "twice"},
      {"eps = 1e-3\ntrials = 0", "s.toml:4: trials", "0"},
  };
  for (const auto& row : attack_rows) {
    INFO(row.text);
    const auto message = problem(attack + row.text);
    CHECK(message.substr(0, std::string(row.begin).size()) == row.begin);
    CHECK(message.find(row.contains) != std::string::npos);
  }
  CHECK(problem("[[attack]]\nname = \"bit-flip\"\nflips = 1.5").find("whole") != std::string::npos);
}

TEST_CASE("a missing spec file is named") {
  CHECK_THROWS_WITH(load_spec("nowhere/s.toml"), Catch::Contains("nowhere/s.toml"));
}

TEST_CASE("options come before the spec") {
  auto spec = parse_spec(whole, "s.toml", "");
  Overrides overrides;
  overrides.seed = "9";
  overrides.trials = "3";
  overrides.severity = {{"eps", "0.5"}};
  overrides.params = {{"steps", "8"}};
  overrides.layers = "1";
  apply(overrides, spec);
  CHECK(spec.seed == 9);
  CHECK(spec.trials == 3);
  CHECK(spec.attacks[0].severity == std::vector<double>{0.5});
  CHECK(spec.attacks[1].severity == std::vector<double>{1, 4});
  CHECK_FALSE(spec.attacks[1].trials.has_value());  // the flag comes before the attack's own number, too
  CHECK(checked_params(spec.attacks[0]).integer("steps") == 8);
  CHECK(spec.attacks[1].layers == std::vector<std::string>{"1"});

  Overrides other;
  other.attack = "bit-flip";
  other.severity = {{"ber", "1e-4"}};
  apply(other, spec);
  REQUIRE(spec.attacks.size() == 1);
  CHECK(spec.attacks[0].name == "bit-flip");
}

TEST_CASE("wrong options are refused by their names") {
  CHECK(override_problem({.seed = "-1"}).find("--seed") == 0);
  CHECK(override_problem({.trials = "0"}).find("--trials") == 0);
  CHECK(override_problem({.split = "tst"}).find("--split") != std::string::npos);
  CHECK(override_problem({.attack = "gausian"}).find("--attack") == 0);
  CHECK(override_problem({.attack = "weight-pgd"}).find("without severity") != std::string::npos);
  CHECK(override_problem({.severity = {{"eps", "-1"}}}).find("--eps") == 0);
  CHECK(override_problem({.severity = {{"eps", "1e-3,,"}}}).find("--eps") == 0);
  CHECK(override_problem({.attack = "weight-pgd", .severity = {{"ber", "1e-3"}}}).find("--ber") == 0);
  CHECK(override_problem({.params = {{"stepps", "3"}}}).find("'steps'") != std::string::npos);
  CHECK(override_problem({.format = "int8,int8"}).find("twice") != std::string::npos);
  CHECK(override_problem({.bounds = "linr"}).find("--bound") == 0);
  CHECK(override_problem({.params = {{"interval.steps", "1"}}}).find("no parameters") != std::string::npos);
  CHECK(override_problem({.params = {{"linear.steps", "1"}}}).find("--set") == 0);
}

TEST_CASE("memory and voltages of a spec, and the same again from its own text") {
  auto spec = parse_spec(
      "[memory]\nword = 32\ninterleave = \"word\"\n[voltage]\nvolts = [0.8, 0.6]\nrates = [1e-6, 1e-2]\n"
      "[[attack]]\nname = \"stuck-at\"\nvolts = [0.6, 0.7]\n",
      "s.toml", "");
  CHECK(memory_spec("", spec.memory) == MemorySpec{.word = 32, .interleave = Interleave::word});
  REQUIRE(spec.voltage);
  CHECK(spec.voltage->volts == std::vector<double>{0.6, 0.8});
  CHECK(spec.voltage->rate(0.6, "") == 1e-2);
  CHECK(spec.voltage->rate(0.8, "") == 1e-6);
  CHECK(spec.voltage->rate(0.7, "") == Approx(1e-4));
  CHECK(spec.voltage->rate(0.65, "") == Approx(1e-3));
  CHECK_THROWS_WITH(spec.voltage->rate(0.59, "volts"),
                    Catch::Contains("volts 0.59") && Catch::Contains("0.6 to 0.8"));
  CHECK(spec.attacks[0].volts);
  CHECK(severity_quantity(spec.attacks[0]).unit == "V");
  const auto text = to_toml(spec);
  CHECK(to_toml(parse_spec(text, "again.toml", "")) == text);

  // Options come before: key by key, the table of voltages as a whole.
  apply({.memory = {{"row", "8"}}, .voltage = {{"0.5", "0.1"}, {"0.7", "1e-3"}}}, spec);
  CHECK(memory_spec("", spec.memory) == MemorySpec{.word = 32, .row = 8, .interleave = Interleave::word});
  CHECK(spec.voltage->volts == std::vector<double>{0.5, 0.7});
  apply({.severity = {{"rate", "0.1"}}}, spec);
  CHECK_FALSE(spec.attacks[0].volts);
  CHECK(spec.attacks[0].severity == std::vector<double>{0.1});
  apply({.attack = "bit-flip", .severity = {{"volts", "0.55"}}}, spec);
  CHECK(spec.attacks[0].volts);
}

TEST_CASE("voltages without a table, or beyond it, are refused by name") {
  CHECK_THAT(override_problem({.attack = "bit-flip", .severity = {{"volts", "0.7"}}}),
             Catch::Contains("no table of voltages"));
  CHECK_THAT(override_problem({.attack = "bit-flip",
                               .severity = {{"volts", "0.9"}},
                               .voltage = {{"0.5", "0.1"}, {"0.7", "0.2"}}}),
             Catch::Contains("volts 0.9") && Catch::Contains("0.5 to 0.7"));
  CHECK_THAT(override_problem({.attack = "weight-pgd", .severity = {{"volts", "0.7"}}}),
             Catch::Contains("--volts"));
  CHECK_THAT(override_problem({.voltage = {{"0.5", "x"}}}), Catch::Contains("--voltage, rate"));
  CHECK_THAT(override_problem({.memory = {{"word", "0"}}}), Catch::Contains("--memory, word"));
  CHECK_THAT(override_problem({.memory = {{"wordd", "8"}}}), Catch::Contains("'word'"));
}
