#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

using namespace temblor::testing;

namespace {

struct Files {
  TemporaryDirectory directory;
  std::string network = make_network(directory.path());
  std::string file(const std::string& name) const { return directory.file(name); }
  std::vector<std::string> words(const std::string& output, std::vector<std::string> more = {}) const {
    std::vector<std::string> all{"study",        "compress",  "--network", network,     "--dataset",
                                 synthetic_data, "--select",  "first:40",  "--formats", "fp32,int8,fp8-e4m3",
                                 "--ber",        "1e-4,1e-2", "--trials",  "40",        "-o",
                                 output};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE(
    "study compress: every format, rate and protection with intervals; no rounding exceeds its bounds") {
  const Files files;
  const auto output = files.file("study.h5");
  const auto outcome = run_program(
      files.words(output, {"--protect", "none,secded,clip", "--json", "--csv", files.file("study.csv")}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json["storage"].size() == 3);
  CHECK(json["storage"][0]["stored_bits"] == 356 * 32);
  CHECK(json["storage"][0]["changed"] == 0);
  CHECK(json["storage"][0]["largest_drop"] == 0.0);
  CHECK(json["storage"][1]["stored_bits"] == 356 * 8 + 3 * 32);
  CHECK(json["storage"][1]["largest_drop"] > 0.0);

  REQUIRE(json["rounding"].size() == 6);
  int covered = 0;
  for (const auto& row : json["rounding"]) {
    CHECK(row["violated"] == 0);
    if (row["refused"] != "") continue;
    ++covered;
    CHECK(row["tightness"] <= 1.0);
    if (row["format"] != "fp32") {
      CHECK(row["tightness"] > 0.0);
      CHECK(row["largest_bound"] >= row["largest_drop"]);
    }
  }
  CHECK(covered >= 3);  // interval covers every box

  REQUIRE(json["compression"].size() == 3 * 2 * 3);
  for (const auto& row : json["compression"]) {
    CHECK(row["trials"] == 40);
    CHECK(row["accuracy_lower"] <= row["accuracy"]);
    CHECK(row["accuracy"] <= row["accuracy_upper"]);
    CHECK(row["q5"] <= row["q50"]);
    CHECK(row["method"] == "cluster wilson");
    const auto bits = row["format"] == "fp32" ? 356 * 32 : 356 * 8;
    CHECK((row["bits"] > bits) ==
          (row["protection"] == "secded-72-64" || row["protection"] == "clip" || row["format"] == "int8"));
  }
  REQUIRE(json["tolerance"].size() == 9);
  for (const auto& row : json["tolerance"])
    CHECK((row["rate"] == 0.0 || row["rate"] == 1e-4 || row["rate"] == 1e-2));

  std::ifstream csv(files.file("study.csv"));
  std::string line;
  int lines = 0;
  while (std::getline(csv, line)) {
    if (lines == 0) CHECK(line.find("format,protection,rate,") == 0);
    ++lines;
  }
  CHECK(lines == 19);

  // A result file like any other, with the study's tables; the same command does nothing more.
  const auto whole = digest(output);
  const auto again = run_program(files.words(output, {"--protect", "none,secded,clip"}));
  CHECK(again.code == 0);
  CHECK(again.out.find("\nTolerance") != std::string::npos);
  CHECK(digest(output) == whole);
  CHECK(run_program({"export", output, "--table", "rates"}).code == 0);
  CHECK(run_program({"replay", output, "--point", "7", "--trial", "5"}).code == 0);
}

TEST_CASE("study compress: threads change nothing, wrong words are refused") {
  const Files files;
  const auto run = [&](const std::string& name, const std::string& threads) {
    const auto output = files.file(name);
    REQUIRE(run_program(files.words(output, {"--threads", threads, "--until", "ci(accuracy) < 5%"})).code ==
            0);
    return digest(output);
  };
  CHECK(run("one.h5", "1") == run("three.h5", "3"));
  const auto refused = [&](std::vector<std::string> words, const std::string& what) {
    const auto outcome = run_program(words);
    CHECK(outcome.code == 2);
    CAPTURE(outcome.err);
    CHECK(outcome.err.find(what) != std::string::npos);
  };
  refused({"study", "compres", "--network", files.network, "--dataset", synthetic_data, "-o", "x.h5"},
          "compress");
  refused(files.words(files.file("x.h5"), {"--protect", "secdet"}), "secded");
  refused(files.words(files.file("x.h5"), {"--bound", "intervall"}), "interval");
  refused(files.words(files.file("x.h5"), {"--until", "ci(acc) < 1%"}), "accuracy");
  refused(files.words(files.network), "net.h5");
}
