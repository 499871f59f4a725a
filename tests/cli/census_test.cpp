#include <algorithm>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/base/error.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Files {
  TemporaryDirectory directory;
  std::string network = directory.file("net.h5");
  std::string census = directory.file("census.h5");
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
    std::vector<std::string> all{"census", "--network", network, "--dataset",
                                 "synthetic:classes=3,features=8,n=60,seed=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("census: tables, JSON and file agree; the same as inferring every fault") {
  const Files files;
  const auto traced = run_program(files.words({"--format", "fp16", "--json", "-o", files.census}));
  INFO(traced.err);
  REQUIRE(traced.code == 0);
  const auto json = nlohmann::json::parse(traced.out);
  CHECK(json["method"] == "rays");
  CHECK(json["faults"] == (48 + 30 + 15) * 16);
  CHECK(json["bits"].size() == 16);
  CHECK(json["critical"].size() == 20);

  const CensusFile file(files.census);
  CHECK(file.identity.format == "fp16");
  CHECK(file.identity.images == 60);
  CHECK(file.identity.network_id == load_network(files.network).id());
  REQUIRE(file.census.layers.size() == 3);
  std::int64_t changed = 0;
  for (const auto& layer : file.census.layers)
    for (const auto count : layer.changed) changed += count;
  CHECK(changed > 100);
  const auto& all = json["layers"].back();
  CHECK(all["name"] == "all");
  CHECK(all["sdc"].get<double>() == Approx(static_cast<double>(changed) / (93.0 * 16 * 60)));

  const auto top = most_critical(file.census, 20).front();
  const auto& layer = file.census.layers[top.layer];
  const auto& first = json["critical"][0];
  CHECK(first["layer"] == layer.layer);
  CHECK(first["bit"] == static_cast<int>(top.fault % 16));
  CHECK(first["correct"] == file.identity.correct - layer.broken[top.fault] + layer.fixed[top.fault]);
  std::int32_t most = 0;
  for (const auto& each : file.census.layers)
    for (std::size_t f = 0; f < each.faults(); ++f) most = std::max(most, each.broken[f] - each.fixed[f]);
  CHECK(layer.broken[top.fault] - layer.fixed[top.fault] == most);

  const auto full = run_program(files.words({"--format", "fp16", "--json", "--full"}));
  REQUIRE(full.code == 0);
  const auto again = nlohmann::json::parse(full.out);
  CHECK(again["method"] == "inference");
  for (std::size_t i = 0; i < 20; ++i) {
    for (const char* key : {"layer", "output", "input", "bit", "correct", "changed", "no_prediction"})
      CHECK(again["critical"][i][key] == json["critical"][i][key]);
  }
}

TEST_CASE("census: the same file for any number of threads") {
  const Files files;
  std::vector<std::string> digests;
  for (const char* threads : {"1", "3"}) {
    REQUIRE(run_program(files.words({"--threads", threads, "-o", files.census})).code == 0);
    digests.push_back(run_program({"inspect", files.census, "--digest"}).out);
  }
  CHECK(digests[0] == digests[1]);
}

TEST_CASE("census: chosen layers and bits, in text") {
  const Files files;
  const auto outcome =
      run_program(files.words({"--format", "int8", "--layers", "0+2", "--bits", "sign,2-3"}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out.find(std::to_string((48 + 15) * 3) + " single bits of int8") != std::string::npos);
  CHECK(outcome.out.find("Most critical bits") != std::string::npos);
}

TEST_CASE("census: wrong words are refused with a hint") {
  const Files files;
  const auto refused = [&](std::vector<std::string> more, const std::string& hint) {
    const auto outcome = run_program(files.words(std::move(more)));
    CHECK(outcome.code == 2);
    INFO(outcome.err);
    CHECK(outcome.err.find(hint) != std::string::npos);
  };
  refused({"--bits", "expnent"}, "did you mean 'exponent'");
  refused({"--bits", "32"}, "31");
  refused({"--bits", "7-3"}, "lower bit first");
  refused({"--bits", "1-2-3"}, "A-B");
  refused({"--format", "fp31"}, "fp32");
  refused({"--layers", "9"}, "");
  refused({"--top", "-1"}, "--top");
  refused({"-o", files.network}, "reads it");
  std::ofstream(files.directory.file("text")) << "words";
  const auto other = run_program(files.words({"-o", files.directory.file("text")}));
  CHECK(other.code == 3);
}

TEST_CASE("check: a sampled campaign's intervals hold what the census knows") {
  const Files files;
  const std::string sampled = files.directory.file("sampled.h5");
  REQUIRE(run_program(files.words({"--format", "fp16", "-o", files.census})).code == 0);
  const auto run = [&](const std::string& output, std::vector<std::string> more) {
    std::vector<std::string> all{
        "run",      "--network", files.network, "--dataset", "synthetic:classes=3,features=8,n=60,seed=1",
        "--attack", "bit-flip",  "-o",          output};
    all.insert(all.end(), more.begin(), more.end());
    const auto outcome = run_program(all);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
  };
  run(sampled, {"--set", "mode=count", "--flips", "1", "--format", "fp16", "--layers", "all,0,1+2",
                "--trials", "4000"});
  const auto outcome = run_program({"check", files.census, sampled, "--group", "50", "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["contradicted"] == 0);
  REQUIRE(json["coverage"].size() == 9);
  for (const auto& row : json["coverage"]) {
    CHECK(row["trials"] == 4000);
    CHECK(row["groups"] == 80);
    CHECK(row["Clopper-Pearson"].get<int>() >= 68);  // 95 % of 80 is 76, three standard deviations less is 70
  }
  CHECK(json["coverage"][0]["faults"] == 93 * 16);
  CHECK(json["coverage"][3]["faults"] == 48 * 16);
  CHECK(json["coverage"][0]["truth"] > 0.01);

  // A census that says something else.
  {
    const auto file = hdf5::File::open(files.census, hdf5::File::Mode::update);
    const std::vector<std::int32_t> all(48 * 16, 1);
    file.write_slab<std::int32_t>("/faults/0/changed", all, {0, 0, 0}, {6, 8, 16});
  }
  const auto wrong = run_program({"check", files.census, sampled});
  CHECK(wrong.code == 1);
  CHECK(wrong.err.find("contradicts the census") != std::string::npos);

  const std::string other = files.directory.file("other.h5");
  run(other, {"--ber", "1e-3", "--format", "fp16", "--trials", "3"});
  const auto nothing = run_program({"check", files.census, other});
  CHECK(nothing.code == 0);
  CHECK(nothing.out.find("not a single flip") != std::string::npos);
  CHECK(nothing.err.find("nothing was compared") != std::string::npos);
  CHECK(run_program({"check", files.census}).code == 2);
}

TEST_CASE("check: census and campaign of different images are refused") {
  const Files files;
  REQUIRE(run_program(files.words({"--format", "int8", "-o", files.census})).code == 0);
  const std::string sampled = files.directory.file("sampled.h5");
  REQUIRE(run_program({"run", "--network", files.network, "--dataset",
                       "synthetic:classes=3,features=8,n=60,seed=2", "--attack", "bit-flip", "--set",
                       "mode=count", "--flips", "1", "--format", "int8", "--trials", "3", "-o", sampled})
              .code == 0);
  const auto outcome = run_program({"check", files.census, sampled});
  CHECK(outcome.code == 3);
  CHECK(outcome.err.find("different images") != std::string::npos);
}

TEST_CASE("census: damaged files are refused, naming the object") {
  const Files files;
  REQUIRE(run_program(files.words({"--format", "int8", "-o", files.census})).code == 0);
  const auto refused = [&](const std::string& why) {
    try {
      const CensusFile file(files.census);
      FAIL("it was read");
    } catch (const Error& error) {
      CHECK(error.code() == Exit::bad_input);
      INFO(error.what());
      CHECK(std::string(error.what()).find(why) != std::string::npos);
    }
  };
  {
    const auto file = hdf5::File::open(files.census, hdf5::File::Mode::update);
    const std::vector<std::int32_t> value{61};
    file.write_slab<std::int32_t>("/faults/0/changed", value, {0, 0, 0}, {1, 1, 1});
  }
  refused("/faults/0/changed");
  REQUIRE(run_program(files.words({"--format", "int8", "-o", files.census})).code == 0);
  {
    const auto file = hdf5::File::open(files.census, hdf5::File::Mode::update);
    const std::vector<std::int32_t> value{8};
    file.write_slab<std::int32_t>("/faults/bit", value, {7}, {1});
  }
  refused("/faults/bit");
  std::filesystem::resize_file(files.census, 600);
  refused("census.h5");
}
