#include <algorithm>
#include <cmath>
#include <filesystem>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <sys/stat.h>

#include <temblor/campaign/result_file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

const std::string images = "synthetic:classes=3,features=8,n=60,seed=1";

struct Files {
  TemporaryDirectory directory;
  std::string network = directory.file("net.h5");
  std::string bounds = directory.file("bounds.h5");
  Files() {
    Stream stream(5, {});
    Network made = multilayer_perceptron("8-6-5-3", "relu", true, {}, {{8}});
    for (int m = 0; m < made.layers(); ++m) {
      Weights weights = made.weights(m);
      for (auto& w : weights.weight.reshaped<Eigen::RowMajor>())
        w = static_cast<float>(0.5 * stream.normal());
      made = made.with(m, std::move(weights));
    }
    save_network(made, network);
  }
  std::vector<std::string> words(std::vector<std::string> more) const {
    std::vector<std::string> all{"bound", "--network", network, "--dataset", images};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("bound: a table for every severity and bound, and a file that agrees with it") {
  const Files files;
  const auto outcome =
      run_program(files.words({"--bound", "norm-product,norm-vector,interval", "--eps", "1e-4:1e-2:log:3",
                               "--table-format", "json", "-o", files.bounds}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto table = nlohmann::json::parse(outcome.out);
  REQUIRE(table.size() == 9);
  CHECK(table[0]["severity"] == 1e-4);
  CHECK(table[0]["bound"] == "norm-product");
  for (std::size_t i = 3; i < 9; ++i) {
    CHECK(table[i]["median drop"] > table[i - 3]["median drop"]);
    CHECK(table[i]["certified"] <= table[i - 3]["certified"]);
  }

  const ResultFile file(files.bounds);
  CHECK(file.bounds_only());
  CHECK(file.network_id() == load_network(files.network).id());
  REQUIRE(file.bounds().size() == 3);
  REQUIRE(file.threats().size() == 3);
  CHECK(file.threats()[2].key == "linf eps=0.01 layers=all biases=false");
  for (const auto& bound : file.bounds()) {
    for (std::size_t i = 0; i < 3; ++i) {
      const auto value = file.bound_value(bound, i);
      CHECK(value.minCoeff() >= 0);
      for (Index n = 0; n < file.samples(); ++n) {
        CHECK(value(n, file.labels()[static_cast<std::size_t>(n)]) == 0);
      }
    }
  }
}

TEST_CASE("bound: the float32 term is stored on request, relative sets and layers too") {
  const Files files;
  const auto outcome = run_program(files.words({"--eps", "0.01", "--ball", "relative", "--layers", "0+2",
                                                "--biases", "--format", "fp16", "-o", files.bounds}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.out, Catch::Contains("float32 part"));
  const ResultFile file(files.bounds);
  CHECK(file.formats() == std::vector<std::string>{"fp16"});
  CHECK(file.threats()[0].layers == "0+2");
  CHECK(file.threats()[0].biases);
  for (const auto& bound : file.bounds()) {
    REQUIRE(bound.arithmetic);
    CHECK(file.bound_arithmetic(bound, 0).maxCoeff() > 0);
    CHECK(file.bound_arithmetic(bound, 0).maxCoeff() < file.bound_value(bound, 0).maxCoeff());
  }
}

TEST_CASE("bound: severity 0 certifies every correct image") {
  const Files files;
  const auto outcome = run_program(files.words({"--eps", "0", "--table-format", "json"}));
  REQUIRE(outcome.code == 0);
  const auto eval = run_program({"eval", "--network", files.network, "--dataset", images, "--json"});
  if (eval.code != 0) return;
  CHECK(nlohmann::json::parse(outcome.out)[0]["certified"] == nlohmann::json::parse(eval.out)["correct"]);
}

TEST_CASE("bound: what it refuses") {
  const Files files;
  const auto code = [&](std::vector<std::string> more, const std::string& words) {
    const auto outcome = run_program(files.words(std::move(more)));
    INFO(outcome.err);
    CHECK_THAT(outcome.err, Catch::Contains(words));
    CHECK(outcome.out.empty());
    return outcome.code;
  };
  CHECK(code({"--eps", "-1"}, "--eps") == 2);
  CHECK(code({"--eps", "1e-3", "--bound", "intervall"}, "did you mean 'interval'?") == 2);
  CHECK(code({"--eps", "1e-3", "--bound", "interval,interval"}, "given twice") == 2);
  CHECK(code({"--eps", "1e-3,1e-3"}, "given twice") == 2);
  CHECK(code({"--eps", "1e-3", "--ball", "box"}, "--ball box") == 2);
  CHECK(code({"--eps", "1e-3", "--layers", "7"}, "layer 7") == 2);
  CHECK(code({"--eps", "1e-3", "-o", files.directory.file("no/where.h5")}, "where.h5") == 3);
  CHECK_FALSE(std::filesystem::exists(files.bounds));
  CHECK(code({"--eps", "1e-3", "-o", files.network}, "this command reads it") == 2);
  CHECK(load_network(files.network).classes() == 3);
  const auto other = files.directory.file("other.h5");
  std::filesystem::copy(files.network, other);
  CHECK(code({"--eps", "1e-3", "-o", other}, "is not a temblor-bounds file") == 3);
  CHECK(load_network(other).classes() == 3);
  const auto pipe = files.directory.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(code({"--eps", "1e-3", "-o", pipe}, "it exists and is not a file") == 3);
  CHECK(std::filesystem::is_fifo(pipe));
  CHECK(
      run_program({"bound", "--network", files.directory.file("none.h5"), "--dataset", images, "--eps", "1"})
          .code == 3);
}

TEST_CASE("bound: sizes that overflow give infinite limits") {
  const TemporaryDirectory directory;
  const auto network = directory.file("net.h5");
  const std::string data = "synthetic:classes=3,features=8,n=20";
  REQUIRE(run_program({"train", "--dataset", data, "--arch", "8-8-8-8-8-8-8-8-8-8-8-3", "--epochs", "1", "-o",
                       network})
              .code == 0);
  for (const std::string arithmetic : {"", "--no-arithmetic"}) {
    std::vector<std::string> words{
        "bound", "-n",   network,          "-d", data, "-b", "norm-product,norm-vector,interval,linear",
        "--eps", "1e30", "--table-format", "csv"};
    if (!arithmetic.empty()) words.push_back(arithmetic);
    const auto outcome = run_program(words);
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    CHECK_THAT(outcome.out, Catch::Contains("inf"));
    CHECK_THAT(outcome.out, !Catch::Contains("nan"));
  }
}
