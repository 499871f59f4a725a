#include <cmath>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/stats/proportion.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Files {
  TemporaryDirectory directory;
  std::string network = make_network(directory.path());  // 8-16-12-3: 128 + 192 + 36 weights
  std::string file(const std::string& name) const { return directory.file(name); }
};

nlohmann::json json_of(const std::vector<std::string>& words) {
  const auto outcome = run_program(words);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return nlohmann::json::parse(outcome.out);
}

void require_success(const std::vector<std::string>& words) {
  const auto outcome = run_program(words);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
}

}  // namespace

TEST_CASE("plan --error: the population is weights x bits, and n is that of Leveugle et al.") {
  const Files files;
  const auto whole = json_of({"plan", "--network", files.network, "--error", "5%", "--confidence", "99%",
                              "--rate", "0.2", "--json"});
  CHECK(whole["size"][0]["population"] == 356 * 32);
  CHECK(whole["size"][0]["needed"] == sample_size(356 * 32, 0.05, 0.99, 0.2));
  CHECK(whole["strata"].size() == 1);
  const auto part =
      json_of({"plan", "--network", files.network, "--error", "5%", "--format", "bf16", "--layers", "0,2",
               "--code-bits", "sign,exponent", "--strata", "layer,bit", "--json"});
  CHECK(part["size"][0]["population"] == (128 + 36) * 9);
  REQUIRE(part["strata"].size() == 18);
  CHECK(part["strata"][0]["layers"] == "0");
  CHECK(part["strata"][0]["bits"] == "7");
  CHECK(part["strata"][17]["bits"] == "15");
  std::int64_t trials = 0;
  for (const auto& stratum : part["strata"]) {
    trials += stratum["trials"].get<std::int64_t>();
    CHECK(stratum["faults"] == (stratum["layers"] == "0" ? 128 : 36));
  }
  CHECK(part["size"][0]["trials"] == trials);
  CHECK(trials >= part["size"][0]["needed"]);
}

TEST_CASE(
    "plan -o writes a spec beside or elsewhere that runs, and its strata give the census's rates back") {
  const Files files;
  std::filesystem::create_directories(files.file("deep/er"));
  const auto spec = files.file("deep/er/sample.toml");
  const auto census = files.file("census.h5");
  const std::vector<std::string> data{"--dataset", synthetic_data, "--select", "first:60"};
  std::vector<std::string> words{"census", "--network", files.network, "--format", "int8", "-o", census};
  words.insert(words.end(), data.begin(), data.end());
  require_success(words);
  words = {"plan",      "--network", files.network, "--format", "int8",       "--error", "3%", "--strata",
           "layer,bit", "--pilot",   census,        "--of",     "any_change", "-o",      spec};
  words.insert(words.end(), data.begin(), data.end());
  require_success(words);
  const auto out = files.file("sample.h5");
  require_success({"run", spec, "-o", out});

  double truth = 0;
  const auto bits = json_of({"export", census, "--table", "bits", "--format", "json"});
  REQUIRE(bits.size() == 24);
  for (const auto& row : bits)
    truth += row["any_change"].get<double>() * row["faults"].get<double>() / (356 * 8);
  const auto strata = json_of({"export", out, "--table", "strata", "--format", "json"});
  bool seen = false;
  for (const auto& row : strata) {
    if (row["rate"] != "any_change" || row["layers"] != "combined") continue;
    seen = true;
    CHECK(row["faults"] == 356 * 8);
    CHECK(row["method"] == "stratified wilson");
    CHECK(row["lower"].get<double>() < truth);
    CHECK(row["upper"].get<double>() > truth);
    CHECK(row["upper"].get<double>() - row["lower"].get<double>() < 2 * 0.04);
  }
  CHECK(seen);

  // The campaign is a pilot for the next: by its rates fewer faults do.
  const std::vector<std::string> next{"plan",    "--network", files.network, "--format",  "int8",
                                      "--error", "2%",        "--strata",    "layer,bit", "--json"};
  auto with = next;
  with.insert(with.end(), {"--pilot", out});
  const auto piloted = json_of(with);
  CHECK(piloted["size"][0]["allocation"] == "neyman");
  CHECK(piloted["size"][0]["needed"] < json_of(next)["size"][0]["needed"]);
  CHECK(piloted["strata"][0]["pilot"] > 0);
}

TEST_CASE("plan --error: what does not fit is refused") {
  const Files files;
  const auto refused = [&](std::vector<std::string> more, int code, const std::string& what) {
    std::vector<std::string> words{"plan", "--network", files.network};
    words.insert(words.end(), more.begin(), more.end());
    const auto outcome = run_program(words);
    CAPTURE(outcome.err);
    CHECK(outcome.code == code);
    CHECK(outcome.err.find(what) != std::string::npos);
  };
  refused({"--error", "0"}, 2, "--error");
  refused({"--error", "120%"}, 2, "--error");
  refused({"--strata", "bit"}, 2, "give --error too");
  refused({"--error", "1%", "--strata", "bits"}, 2, "'bit'");
  refused({"--error", "1%", "--of", "sdk"}, 2, "sdc");
  refused({"--error", "1%", "--allocation", "neyman"}, 2, "--pilot");
  refused({"--error", "1%", "--code-bits", "40"}, 2, "--code-bits");
  refused({"--error", "1%", "--format", "fp32,int8"}, 2, "one format");
  refused({"--error", "1%", "-o", files.file("a.toml")}, 2, "--dataset");
  refused({"--error", "1%", "-o", files.network, "--dataset", "x"}, 2, "net.h5");
  refused({"--error", "1%", "--pilot", files.network}, 3, "net.h5");
  refused({"--error", "1%", "--pilot", files.file("none.h5")}, 3, "none.h5");
}

TEST_CASE("run --until says what became of it, --interval names its method") {
  const Files files;
  const auto out = files.file("out.h5");
  const std::vector<std::string> words{
      "run",      "--network", files.network,    "--dataset",  synthetic_data,    "--select", "first:40",
      "--attack", "bit-flip",  "--ber",          "1e-4,1e-2",  "--format",        "int8",     "--trials",
      "256",      "--until",   "ci(sdc) < 2.5%", "--interval", "clopper-pearson", "-o",       out};
  const auto outcome = run_program(words);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out.find("95 %, clopper-pearson over trials") != std::string::npos);
  CHECK(outcome.err.find("until ci(sdc, 0.95) < 0.025: 2 points stopped early") != std::string::npos);
  const auto rates = json_of({"export", out, "--table", "rates", "--format", "json"});
  bool sdc = false;
  for (const auto& row : rates) {
    if (row["rate"] != "sdc" || row["point"] != 0) continue;
    sdc = true;
    CHECK(row["trials"] == 120);
    CHECK(row["method"] == "cluster wilson");
    CHECK(row["lower"] <= row["value"]);
    CHECK(row["q5"] <= row["q95"]);
    CHECK(row["hits"].is_null());
  }
  CHECK(sdc);
  // Replayed and run again, it is the same campaign; without until another one.
  CHECK(run_program({"replay", out, "--point", "1", "--trial", "3"}).code == 0);
  CHECK(run_program({"replay", out, "--point", "0", "--trial", "120"}).code == 2);
  CHECK(run_program(words).err.find("is complete") != std::string::npos);
  CHECK(run_program({"run", "--network", files.network, "--dataset", synthetic_data, "--attack", "bit-flip",
                     "--ber", "1e-4", "--until", "sdc < 1%", "-o", files.file("x.h5")})
            .code == 2);
}

TEST_CASE("export of a census: its faults, and the tables of other files refused") {
  const Files files;
  const auto census = files.file("census.h5");
  require_success({"census", "--network", files.network, "--dataset", synthetic_data, "--select", "first:20",
                   "--format", "fp32", "--bits", "exponent", "--layers", "2", "-o", census});
  const auto faults = json_of({"export", census, "--table", "faults", "--format", "json"});
  REQUIRE(faults.size() == 36 * 8);
  CHECK(faults[0]["field"] == "exponent");
  CHECK(faults[9]["bit"] == 24);
  CHECK(faults[9]["input"] == 1);
  const auto bits = json_of({"export", census, "--table", "bits", "--format", "json"});
  REQUIRE(bits.size() == 8);
  double changed = 0;
  std::int64_t any = 0;
  for (const auto& fault : faults) {
    if (fault["bit"] != 30) continue;
    changed += fault["changed"].get<double>();
    any += fault["changed"] > 0 || fault["no_prediction"] > 0 ? 1 : 0;
  }
  CHECK(bits[7]["sdc"].get<double>() == Approx(changed / (36 * 20)));
  CHECK(bits[7]["any_change"].get<double>() == Approx(static_cast<double>(any) / 36));
  CHECK(run_program({"export", census, "--table", "points"}).code == 2);
  CHECK(run_program({"export", files.network, "--table", "faults"}).code == 3);
  CHECK(run_program({"export", census, "--table", "bits", "-o", census}).code == 2);
  CHECK(run_program({"export", census, "--table", "bits", "-o", files.file("bits.csv")}).code == 0);
}
