#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

using temblor::testing::expect;
using temblor::testing::run_line;
using temblor::testing::TemporaryDirectory;

namespace {}  // namespace

TEST_CASE("LeNet-5 on Fashion-MNIST, from training to a checked campaign, a census and a model for others") {
  const TemporaryDirectory directory;
  const std::string net = directory.file("net.h5");
  const auto trained =
      run_line("train --dataset fashion-mnist --select first:6000 --arch lenet5 --epochs 1 -o " + net);
  if (trained.code == 3 && trained.err.find("is not there") != std::string::npos) {
    WARN("Fashion-MNIST is not installed: skipped");
    return;
  }
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const std::string of = " --network " + net + " --dataset fashion-mnist --select first:20";
  const std::string out = directory.file("out.h5");

  // Each image's attack against each bound: never above, and `linear` not far.
  expect(0, "run" + of +
                " --attack weight-pgd --set scope=sample --set steps=20 --eps 1e-4 --trials 1 --bound "
                "interval,linear -o " +
                out);
  const auto checks = nlohmann::json::parse(expect(0, "check " + out + " --json"));
  REQUIRE(checks["checks"].size() == 2);
  for (const auto& row : checks["checks"]) {
    CHECK(row["compared"] == 20);
    CHECK(row["violated"] == 0);
    if (row["bound"] == "linear") CHECK(row["tightness_max"] > 0.5);
  }

  // Chosen flips hurt; what they leave is an ONNX model that predicts the same.
  const std::string flips = directory.file("flips.h5");
  expect(0, "run" + of +
                " --attack progressive-bit-search --flips 3 --format int8 --trials 1 --set batch=20 -o " +
                flips);
  const std::string model = directory.file("broken.onnx");
  const std::string again = directory.file("broken.h5");
  expect(0, "replay " + flips + " --point 0 --trial 0 -o " + model);
  expect(0, "import " + model + " -o " + again);
  const auto points = nlohmann::json::parse(expect(0, "export " + flips + " -t points -f json"));
  const auto found = nlohmann::json::parse(
      expect(0, "eval --network " + again + " --dataset fashion-mnist --select first:20 --json"));
  CHECK(found["correct"] == points[0]["correct_min"]);
  CHECK(points[0]["correct_min"] < points[0]["golden_correct"]);

  // Every fault of a convolution, by the short way and by inferring all again.
  const std::string census = "census" + of + " --format int8 --layers 0 --bits sign --json";
  auto quick = nlohmann::json::parse(expect(0, census));
  auto full = nlohmann::json::parse(expect(0, census + " --full"));
  CHECK(quick["bits"] == full["bits"]);
}
