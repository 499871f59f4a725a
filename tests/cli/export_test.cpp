#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/result.hpp>

using namespace temblor::testing;

namespace {

struct Files {
  TemporaryDirectory directory;
  std::string result = directory.file("out.h5");
  std::string bounds = directory.file("bounds.h5");
  Files() {
    make_result(result);
    make_bounds(bounds);
  }
};

nlohmann::json exported(const std::string& file, const std::string& table) {
  const auto outcome = run_program({"export", file, "--table", table, "--format", "json"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return nlohmann::json::parse(outcome.out);
}

}  // namespace

TEST_CASE("export points: names, folds over successful trials") {
  const Files files;
  const auto points = exported(files.result, "points");
  REQUIRE(points.size() == 2);
  CHECK(points[0]["attack"] == "weight-pgd");
  CHECK(points[0]["per_sample"] == true);
  CHECK(points[0]["golden_correct"] == 1);
  CHECK(points[1]["format"] == "int8");
  CHECK(points[1]["failed"] == 1);
  CHECK(points[1]["correct_mean"] == 0.0);
  CHECK(points[1]["drop_max"] == "inf");
}

TEST_CASE("export trials, samples, bounds and checks") {
  const Files files;
  const auto trials = exported(files.result, "trials");
  REQUIRE(trials.size() == 3);
  CHECK(trials[2]["outcome"] == "failed");
  CHECK(trials[0]["linf"] == 1e-3);
  const auto samples = exported(files.result, "samples");
  REQUIRE(samples.size() == 4);
  CHECK(samples[1]["index"] == 11);
  CHECK(samples[1]["golden_prediction"] == 2);
  CHECK(samples[3]["worst_drop"] == "inf");
  for (const auto& file : {files.result, files.bounds}) {
    const auto bounds = exported(file, "bounds");
    REQUIRE(bounds.size() == 2);
    // logits (2, 1, 0), label 0: margin 1 falls to min(1 - 1.25, 2 - 1.5) = -0.25
    CHECK(bounds[0]["drop_bound"] == Approx(1.25));
    CHECK(bounds[0]["golden_margin"] == 1.0);
  }
  const auto checks = exported(files.result, "checks");
  REQUIRE(checks.size() == 1);
  CHECK(checks[0]["tightness_q50"] == 0.3);
  CHECK(checks[0]["violated"] == 0);
}

TEST_CASE("export as CSV quotes parameters; text aligns") {
  const Files files;
  const auto csv = run_program({"export", files.result, "-t", "points"});
  CHECK(csv.code == 0);
  CHECK(csv.out.starts_with("point,attack,format,layers,quantity,severity,"));
  CHECK(csv.out.find("\"mode=exact, \"\"k\"\"\"") != std::string::npos);
  CHECK(run_program({"export", files.result, "-t", "checks", "-f", "text"}).out.find("tightness_max") !=
        std::string::npos);
}

TEST_CASE("export to a file writes all or nothing") {
  const Files files;
  const std::string target = files.directory.file("points.csv");
  CHECK(run_program({"export", files.result, "-t", "points", "-o", target}).code == 0);
  std::ifstream in(target);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  CHECK(text == run_program({"export", files.result, "-t", "points"}).out);
  const auto missing =
      run_program({"export", files.result, "-t", "points", "-o", files.directory.file("no/such/dir.csv")});
  CHECK(missing.code == 3);
  CHECK(missing.err.find("No such file or directory") != std::string::npos);
  CHECK(run_program({"export", files.result, "-t", "points", "-o", "/dev/full"}).code == 3);
  CHECK(std::filesystem::is_character_file("/dev/full"));
  CHECK(run_program({"export", files.result, "-t", "points", "-o", files.result}).code == 2);
  const auto over = run_program({"export", files.result, "-t", "points", "-o", files.bounds});
  CHECK(over.code == 3);
  CHECK(over.err.find("it exists and is an HDF5 file") != std::string::npos);
  CHECK(run_program({"export", files.bounds, "-t", "bounds"}).code == 0);
}

TEST_CASE("export refuses what it cannot do") {
  const Files files;
  const auto misspelt = run_program({"export", files.result, "--table", "point"});
  CHECK(misspelt.code == 2);
  CHECK(misspelt.err == "temblor: unknown table 'point': did you mean 'points'?\n");
  CHECK(run_program({"export", files.result, "--table", "points", "--format", "cvs"}).code == 2);
  CHECK(run_program({"export", files.result}).code == 2);
  CHECK(run_program({"export", files.directory.file("none.h5"), "-t", "points"}).code == 3);
  const auto bounds = run_program({"export", files.bounds, "-t", "trials"});
  CHECK(bounds.code == 3);
  CHECK(bounds.err.find("it holds bounds alone") != std::string::npos);
  std::ofstream(files.directory.file("text.h5")) << "not HDF5";
  CHECK(run_program({"export", files.directory.file("text.h5"), "-t", "points"}).code == 3);
}
