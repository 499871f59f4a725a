#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

using temblor::testing::expect;
using temblor::testing::run_line;
using temblor::testing::TemporaryDirectory;

namespace {

const std::string data = "synthetic:classes=3,features=8,n=300";

}  // namespace

TEST_CASE("from data to a checked campaign: train, eval, run, bound, check, export, replay, inspect") {
  const TemporaryDirectory directory;
  const std::string net = directory.file("net.h5");
  const std::string out = directory.file("out.h5");
  const std::string bounds = directory.file("bounds.h5");
  expect(0, "train --dataset " + data + " --arch 8-12-3 --epochs 3 --seed 1 -o " + net);
  const std::string of = " --network " + net + " --dataset " + data;
  expect(0, "eval" + of);

  const std::string campaign =
      "run" + of + " --attack weight-pgd --set scope=sample --eps 1e-3,1e-2 --trials 2 -o " + out;
  const auto first = expect(0, campaign);
  CHECK(first.find("weight-pgd") != std::string::npos);
  CHECK(expect(0, campaign) == first);  // complete: shown again, nothing done

  expect(0, "bound" + of + " --bound norm-product,interval --eps 1e-3,1e-2 -o " + bounds);
  const auto checks = nlohmann::json::parse(expect(0, "check " + out + " " + bounds + " --json"));
  CHECK_FALSE(checks.empty());
  const auto points = nlohmann::json::parse(expect(0, "export " + out + " -t points -f json"));
  REQUIRE(points.size() == 2);
  CHECK(points[0]["severity"] == 1e-3);
  CHECK(points[1]["correct_min"] <= points[0]["golden_correct"]);

  const std::string broken = directory.file("broken.h5");
  expect(0, "replay " + out + " --point 1 --trial 1 --sample 5 -o " + broken);
  expect(0, "eval --network " + broken + " --dataset " + data);
  for (const auto& file : {net, out, bounds, broken}) expect(0, "inspect " + file);
}

TEST_CASE("files of another kind are refused by every subcommand that reads one") {
  const TemporaryDirectory directory;
  const std::string text = directory.file("text.h5");
  std::ofstream(text) << "this is no HDF5 file\n";
  const std::string net = directory.file("net.h5");
  expect(0, "train --dataset " + data + " --arch 8-3 --epochs 1 -o " + net);
  for (const std::string& file : {text, net, directory.file("none.h5"), directory.path()}) {
    expect(3, "check " + file);
    expect(3, "export " + file + " -t points");
    expect(3, "replay " + file + " --point 0 --trial 0");
  }
  for (const std::string& file : {text, directory.file("none.h5"), directory.path()}) {
    expect(3, "inspect " + file);
    expect(3, "eval --network " + file + " --dataset " + data);
    expect(3, "run --network " + file + " --dataset " + data + " --attack gaussian --eps 1e-3 -o " +
                  directory.file("out.h5"));
  }
  CHECK_FALSE(std::filesystem::exists(directory.file("out.h5")));
}

TEST_CASE("wrong values end with code 2, and say which") {
  const TemporaryDirectory directory;
  const std::string net = directory.file("net.h5");
  expect(0, "train --dataset " + data + " --arch 8-3 --epochs 1 -o " + net);
  const std::string begin =
      "run --network " + net + " --dataset " + data + " -o " + directory.file("out.h5") + " --attack ";
  for (const std::string wrong :
       {"gaussian --eps -1", "gaussian --eps nan", "gaussian --eps 1e-3 --trials 0", "gausian --eps 1e-3",
        "gaussian", "gaussian --eps 1e-3 --format int_7", "gaussian --eps 1e-3 --layers 7",
        "gaussian --eps 1e-3 --set ball=l3", "gaussian --eps 1e-3 --set bal=l2",
        "gaussian --eps 1e-3 --bound intervall", "gaussian --ber 1e-3", "gaussian --eps 1:2:log",
        "gaussian --eps 1e-3 --seed -1", "gaussian --eps 1e-3 --select frist:10"}) {
    const auto outcome = run_line(begin + wrong);
    INFO(wrong << "\n" << outcome.err);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.starts_with("temblor: "));
  }
  CHECK(run_line(begin + "gausian --eps 1e-3").err.find("did you mean 'gaussian'?") != std::string::npos);
}
