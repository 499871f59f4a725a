#include <cmath>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/hdf5/file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

const std::string images = "synthetic:classes=3,features=8,n=300,seed=1";

struct Files {
  TemporaryDirectory directory;
  std::string network = directory.file("net.h5");
  std::string output = directory.file("gen.h5");
  explicit Files(std::vector<std::string> more = {"--no-bias"}) {
    std::vector<std::string> words{"train",    "--dataset", images,     "--arch", "8-12-6-3",
                                   "--epochs", "5",         "--output", network};
    words.insert(words.end(), more.begin(), more.end());
    REQUIRE(run_program(words).code == 0);
  }
  Outcome run(std::vector<std::string> more) const {
    std::vector<std::string> words{"generalize", "--network", network, "--dataset", images,   "--noise-draws",
                                   "20",         "--steps",   "20",    "--sigma",   "0.1,0.5"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
};

}  // namespace

TEST_CASE("generalize: every term, monotone in eps and gamma, the same in text, JSON and file") {
  const Files files;
  const auto outcome = files.run({"--eps", "0,1e-2,5e-2", "--gamma", "0.5,2", "--prior-seed", "1", "--bound",
                                  "norm-vector,interval,linear", "--json", "-o", files.output});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json["layers"].size() == 3);
  REQUIRE(json["data"].size() == 1);
  const double n = json["data"][0]["images"];
  CHECK(n == json["train"]["images"]);

  const auto& bound = json["bound"];
  REQUIRE(bound.size() == 12);  // eps x gamma x class
  for (std::size_t i = 0; i < bound.size(); ++i) {
    const auto& row = bound[i];
    CHECK(row["class"] == (i % 2 == 0 ? "fixed" : "any"));
    CHECK(double(row["value"]) == Approx(double(row["first"]) + double(row["discretised"]) +
                                         double(row["complexity"]) + double(row["confidence"])));
    CHECK(bool(row["vacuous"]) == (double(row["value"]) >= 1));
    CHECK(double(row["discretised"]) == Approx(8 / std::pow(n, 1.5)));
    if (i % 2 == 0) CHECK(double(row["confidence"]) == Approx(3 * std::sqrt(std::log(40.0) / (2 * n))));
    if (i >= 4) {
      CHECK(double(row["value"]) >= double(bound[i - 4]["value"]));
      CHECK(double(row["drop"]) > double(bound[i - 4]["drop"]));
    }
    if (i % 4 >= 2) {
      CHECK(double(row["complexity"]) == Approx(double(bound[i - 2]["complexity"]) / 4));
      CHECK(double(row["first"]) >= double(bound[i - 2]["first"]));
    }
  }
  CHECK(double(bound[0]["drop"]) == 0);

  // eps = 0: what no bound can lose is what is misclassified
  const auto& some = json["images"];
  REQUIRE(some.size() == 18);
  const auto& gap = json["gap"];
  REQUIRE(gap.size() == 5);  // none, then two for each eps > 0
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK(double(some[i]["not_certified"]) ==
          Approx(double(gap[0]["test_error"]) * double(gap[0]["test_images"])));
    CHECK(double(some[i]["risk"]) > double(gap[0]["test_error"]));
  }
  for (std::size_t i = 6; i < some.size(); ++i) {
    CHECK(some[i]["not_certified"] >= some[i - 6]["not_certified"]);
    CHECK(double(some[i]["first"]) >= double(some[i - 6]["first"]));
  }
  // what attacks break, bounds do not certify
  CHECK(gap[4]["perturbation"] == "each image");
  CHECK(double(gap[4]["test_error"]) * double(gap[4]["test_images"]) <=
        double(some[16]["not_certified"]) + 0.5);
  for (const auto& row : gap) {
    CHECK(double(row["gap"]) == Approx(double(row["test_error"]) - double(row["train_error"])).margin(1e-12));
    CHECK(double(row["lower"]) <= double(row["gap"]));
    CHECK(double(row["upper"]) >= double(row["gap"]));
  }
  CHECK(double(gap[3]["train_loss"]) > double(gap[0]["train_loss"]));
  const auto& sharpness = json["sharpness"];
  REQUIRE(sharpness.size() == 2);
  CHECK(double(sharpness[1]["worst_rise"]) ==
        Approx(double(gap[3]["train_loss"]) - double(gap[0]["train_loss"])));
  CHECK(double(sharpness[1]["worst_rise"]) > double(sharpness[1]["largest_rise"]));
  CHECK(double(sharpness[1]["largest_rise"]) >= double(sharpness[1]["mean_rise"]));
  REQUIRE(json["pac-bayes"].size() == 2);
  CHECK(double(json["pac-bayes"][0]["bound"]) >= double(json["pac-bayes"][0]["error"]));

  const auto file = hdf5::File::open(files.output, hdf5::File::Mode::read);
  CHECK(file.text("filetype") == "temblor-generalization");
  CHECK(file.text("network_id") == std::string(json["network"]["id"]));
  const auto values = file.read<double>("/bound/value");
  REQUIRE(values.size() == 12);
  for (std::size_t i = 0; i < 12; ++i) CHECK(values[i] == double(bound[i]["value"]));
  CHECK(file.read_strings("/gap/perturbation")[1] == "one for all");
  CHECK(file.text("unit", "/gap/train_loss") == "nat");
  CHECK(file.text("meaning", "/layers/spectral").has_value());
  CHECK(std::isnan(file.read<double>("/gap/train_loss")[2]));

  const auto text = files.run({"--eps", "0,1e-2,5e-2", "--gamma", "0.5,2", "--prior-seed", "1"});
  REQUIRE(text.code == 0);
  for (const auto* word : {"spectral", "two-one", "frobenius", "complexity", "confidence", "vacuous",
                           "one for all", "each image", "worst rise", "sigma"}) {
    CHECK_THAT(text.out, Catch::Contains(word));
  }
  // the same command, the same file
  const std::string again = files.directory.file("again.h5");
  REQUIRE(files.run({"--eps", "0,1e-2,5e-2", "--gamma", "0.5,2", "--prior-seed", "1", "-o", again}).code ==
          0);
  const auto digest = [](const std::string& path) { return run_program({"inspect", path, "--digest"}).out; };
  CHECK(digest(again) == digest(files.output));
}

TEST_CASE("generalize: parts can be left out") {
  const Files files;
  const auto outcome =
      files.run({"--images", "0", "--draws", "0", "--noise-draws=0", "--layers", "1", "--json"});
  INFO(outcome.err);
  CHECK(outcome.code == 2);  // given twice
  const auto less = run_program({"generalize", "-n", files.network, "-d", images, "--images", "0", "--draws",
                                 "0", "--noise-draws", "0", "--layers", "1", "--steps", "5", "--json"});
  INFO(less.err);
  REQUIRE(less.code == 0);
  const auto json = nlohmann::json::parse(less.out);
  CHECK_FALSE(json.contains("images"));
  CHECK(json["pac-bayes"].empty());
  CHECK(json["gap"].size() == 2);
  CHECK(json["sharpness"][0]["mean_rise"].is_null());
  CHECK(json["layers"][0]["perturbed"] == false);
  CHECK(json["layers"][1]["perturbed"] == true);
}

TEST_CASE("generalize: what it refuses") {
  const Files files;
  const auto code = [&](const std::vector<std::string>& more, const std::string& words) {
    const auto outcome = files.run(more);
    INFO(outcome.err);
    CHECK_THAT(outcome.err, Catch::Contains(words));
    CHECK(outcome.out.empty());
    return outcome.code;
  };
  CHECK(code({"--eps", "-1"}, "--eps") == 2);
  CHECK(code({"--eps", "1e-3,1e-3"}, "given twice") == 2);
  CHECK(code({"--gamma", "0"}, "--gamma") == 2);
  CHECK(code({"--delta", "0"}, "--delta") == 2);
  CHECK(code({"--delta", "0.7"}, "--delta") == 2);
  CHECK(code({"--bound", "intervall"}, "did you mean 'interval'?") == 2);
  CHECK(code({"--layers", "7"}, "layer 7") == 2);
  CHECK(code({"--select", "first:5"}, "at least 8") == 2);
  CHECK(code({"-o", files.network}, "this command reads it") == 2);
  CHECK(code({"-o", files.directory.file("no/where.h5")}, "where.h5") == 3);
  CHECK_FALSE(std::filesystem::exists(files.output));
}

TEST_CASE("generalize: of networks that the theorem does not cover all but its bound is printed") {
  const Files biased(std::vector<std::string>{});
  const auto outcome = biased.run({"--eps", "1e-2", "--json", "-o", biased.output});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json["left-out"].size() == 1);
  CHECK_THAT(std::string(json["left-out"][0]["why"]),
             Catch::Contains("has biases") && Catch::Contains("--no-bias"));
  CHECK_FALSE(json.contains("layers"));
  CHECK_FALSE(json.contains("bound"));
  CHECK(json["images"].size() == 3);
  CHECK(json["gap"].size() == 3);
  CHECK(json["sharpness"].size() == 1);
  CHECK(json["pac-bayes"].size() == 2);
  CHECK_THAT(hdf5::File::open(biased.output, hdf5::File::Mode::read).read_strings("/left-out/why")[0],
             Catch::Contains("has biases"));
  const Files smooth({"--no-bias", "--activation", "sigmoid"});
  const auto text = smooth.run({"--eps", "1e-2"});
  REQUIRE(text.code == 0);
  CHECK_THAT(text.out, Catch::Contains("sigmoid) is not covered"));
}

TEST_CASE("generalize: convolutional networks") {
  const TemporaryDirectory directory;
  const std::string pictures = "synthetic:classes=3,shape=1x12x12,n=120,seed=1";
  const auto run = [&](const std::vector<std::string>& train) {
    const std::string network = directory.file("net.h5");
    std::vector<std::string> words{"train", "--dataset", pictures, "--epochs", "2", "--output", network};
    words.insert(words.end(), train.begin(), train.end());
    REQUIRE(run_program(words).code == 0);
    const auto outcome = run_program({"generalize",
                                      "--network",
                                      network,
                                      "--dataset",
                                      pictures,
                                      "--eps",
                                      "1e-4",
                                      "--images",
                                      "20",
                                      "--noise-draws",
                                      "3",
                                      "--steps",
                                      "3",
                                      "--draws",
                                      "2",
                                      "--sigma",
                                      "0.01",
                                      "--bound",
                                      "interval,norm-vector",
                                      "--json"});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return nlohmann::json::parse(outcome.out);
  };
  const auto chain = run({"--arch", "lenet5", "--no-bias"});
  CHECK_FALSE(chain.contains("left-out"));
  REQUIRE(chain["layers"].size() == 5);
  CHECK(chain["layers"][0]["inputs"] == 144);
  CHECK(double(chain["layers"][0]["readers"]) == 6 * 25);
  CHECK(chain["bound"].size() == 2);
  const auto residual = run({"--arch", "resnet8"});
  CHECK_THAT(std::string(residual["left-out"][0]["why"]), Catch::Contains("do not form a chain"));
  for (const auto& json : {chain, residual}) {
    CHECK(json["gap"].size() == 3);
    CHECK(json["images"][0]["refused"] == "");
    CHECK(double(json["images"][0]["not_certified"]) >=
          double(json["gap"][2]["test_error"]) * double(json["gap"][2]["test_images"]) - 0.5);
    CHECK(json["sharpness"].size() == 1);
    CHECK(json["pac-bayes"].size() == 1);
  }
}

TEST_CASE("generalize: a file without test images has no gap and no risk") {
  const Files files;
  const auto csv = files.directory.file("points.csv");
  std::ofstream out(csv);
  out << "label,a,b,c,d,e,f,g,h\n";
  for (int n = 0; n < 30; ++n) {
    out << n % 3;
    for (int j = 0; j < 8; ++j) out << ',' << (n * 7 + j * 13) % 11;
    out << '\n';
  }
  out.close();
  const auto outcome = run_program(
      {"generalize", "-n", files.network, "-d", csv, "--steps", "5", "--noise-draws", "0", "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK_THAT(outcome.err, Catch::Contains("no test images of its own"));
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["test"].is_null());
  for (const auto& row : json["gap"]) CHECK(row["gap"].is_null());
  for (const auto& row : json["images"]) CHECK(row["risk"].is_null());
}
