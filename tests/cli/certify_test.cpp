#include <csignal>
#include <filesystem>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/campaign.hpp>
#include <support/crash.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/result_file.hpp>
#include <temblor/hdf5/file.hpp>

using namespace temblor;
using namespace temblor::testing;
using nlohmann::json;

namespace {

struct Files {
  TemporaryDirectory directory;
  std::string network = make_network(directory.path());
  std::string out = directory.file("cert.h5");

  std::vector<std::string> words(std::vector<std::string> more) const {
    std::vector<std::string> all{"certify", "-n", network, "-d", synthetic_data, "--select", "first:30"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

}  // namespace

TEST_CASE("certify: tables and a file that agree") {
  const Files files;
  const auto outcome =
      run_program(files.words({"--eps", "1e-3,1e-2", "--per-layer", "--attack-radius", "--set",
                               "weight-pgd.steps=10", "--tolerance", "0.05", "--json", "-o", files.out}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto tables = json::parse(outcome.out);
  REQUIRE(tables["accuracy"].size() == 4 * 2 * 3);
  REQUIRE(tables["radii"].size() == 4 * 4);
  REQUIRE(tables["layers"].size() == 3 * 2);
  CHECK(tables["accuracy"][0]["layers"] == "all");
  CHECK(tables["accuracy"][6]["layers"] == "0");
  CHECK(tables["accuracy"][2]["bound"] == "linear");

  const ResultFile result(files.out);
  CHECK(result.file().text("filetype") == "temblor-certificates");
  CHECK(result.samples() == 30);
  CHECK(result.threats().size() == 8);
  CHECK(result.threats()[3].key == "linf eps=0.01 layers=0 biases=false");
  const auto& file = result.file();
  CHECK(file.dims("/certificates/drop") == hdf5::Dims{4, 3, 2, 30});
  CHECK(file.dims("/certificates/radius") == hdf5::Dims{4, 3, 30});
  CHECK(file.read_strings("/cases/layers") == std::vector<std::string>{"all", "0", "1", "2"});
  CHECK(file.text("unit", "/certificates/drop") == "logit");
  const auto certified = file.read<std::int64_t>("/certificates/certified_float32");
  std::size_t row = 0;
  for (std::size_t c = 0; c < 4; ++c) {
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t b = 0; b < 3; ++b, ++row) {
        const double share = tables["accuracy"][row]["float32"];
        CHECK(share * 30 == Approx(static_cast<double>(certified[(c * 3 + b) * 2 + s])));
        CHECK(tables["accuracy"][row]["violated"] == 0);
      }
    }
  }
  const auto radius = file.read<double>("/certificates/radius");
  const auto broken = file.read<double>("/attacked/radius");
  for (std::size_t c = 0; c < 4; ++c)
    for (std::size_t n = 0; n < 30; ++n) {
      const double certified_radius = radius[(c * 3 + 2) * 30 + n];
      if (certified_radius > 0) CHECK(certified_radius < broken[c * 30 + n]);
    }

  std::size_t described = 0;
  for (const auto& spec : result_schema()) {
    if (!file.has(spec.path)) continue;
    INFO(spec.path);
    CHECK(file.text("unit", spec.path) == spec.unit);
    CHECK(file.text("meaning", spec.path) == spec.meaning);
    CHECK(file.type(spec.path) == to_text(spec.type));
    for (const char* group : {"/cases/", "/severities/", "/certifiers/", "/certificates/", "/attacked/"})
      if (spec.path.starts_with(group)) ++described;
  }
  CHECK(described == 29);  // every dataset of certificates but to_exact

  const auto again = run_program(
      files.words({"--eps", "1e-3,1e-2", "--per-layer", "--attack-radius", "--set", "weight-pgd.steps=10",
                   "--tolerance", "0.05", "-o", files.directory.file("again.h5")}));
  REQUIRE(again.code == 0);
  CHECK_THAT(again.out, Catch::Contains("Certified radius") && Catch::Contains("Each layer alone"));
  CHECK(digest(files.out) == digest(files.directory.file("again.h5")));
}

TEST_CASE("certify: its file exports, and has no trials") {
  const Files files;
  REQUIRE(run_program(files.words({"--eps", "1e-2", "-b", "interval", "-o", files.out})).code == 0);
  const auto radii = run_program({"export", files.out, "-t", "radii", "-f", "json"});
  INFO(radii.err);
  REQUIRE(radii.code == 0);
  const auto rows = json::parse(radii.out);
  REQUIRE(rows.size() == 30);
  CHECK(rows[0]["bound"] == "interval");
  CHECK(rows[0]["attack_radius"].is_null());
  const auto certificates = run_program({"export", files.out, "-t", "certificates", "-f", "json"});
  REQUIRE(certificates.code == 0);
  for (const auto& row : json::parse(certificates.out)) {
    const bool proven = row["proven_float32"];
    if (proven) CHECK(row["attack_drop"].get<double>() < row["golden_margin"].get<double>());
    CHECK(row["attack_drop"].get<double>() <= row["drop_bound_float32"].get<double>());
  }
  CHECK(run_program({"export", files.out, "-t", "trials"}).code == 3);
  CHECK(run_program({"inspect", files.out}).code == 0);
  const Files other;
  REQUIRE(run_program({"bound", "-n", other.network, "-d", synthetic_data, "--eps", "1e-3", "-o", other.out})
              .code == 0);
  const auto none = run_program({"export", other.out, "-t", "radii"});
  CHECK(none.code == 3);
  CHECK_THAT(none.err, Catch::Contains("holds no certificates"));
}

TEST_CASE("certify: without attacks, radii or float32 part") {
  const Files files;
  const auto outcome =
      run_program(files.words({"--eps", "0,1e-3", "-b", "linear", "--attack", "none", "--no-radius",
                               "--no-arithmetic", "--json", "-o", files.out}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto tables = json::parse(outcome.out);
  CHECK(tables.size() == 1);
  CHECK(tables["accuracy"][0].size() == 6);
  const ResultFile result(files.out);
  CHECK_FALSE(result.file().has("/attacked"));
  CHECK_FALSE(result.file().has("/certificates/radius"));
  CHECK_FALSE(result.file().has("/certificates/drop_float32"));
  const auto eval =
      run_program({"eval", "-n", files.network, "-d", synthetic_data, "--select", "first:30", "--json"});
  REQUIRE(eval.code == 0);
  CHECK(tables["accuracy"][0]["certified"].get<double>() * 30 ==
        Approx(json::parse(eval.out)["correct"].get<double>()));
}

TEST_CASE("certify: sets that no attack searches are certified by bounds alone") {
  const Files files;
  for (const auto& more : std::vector<std::vector<std::string>>{{"--ball", "k-weights", "--weights", "2"},
                                                                {"--ball", "l2-row"}}) {
    std::vector<std::string> words{"--eps", "1e-3,1e-2", "-b", "interval,exact", "--json", "-o", files.out};
    words.insert(words.end(), more.begin(), more.end());
    const auto outcome = run_program(files.words(words));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK_THAT(outcome.err, Catch::Contains("exact does not apply"));
    const auto tables = json::parse(outcome.out);
    CHECK(tables["accuracy"].size() == 2);
    const ResultFile result(files.out);
    CHECK(result.file().read_strings("/certifiers/refused")[0].empty());
    CHECK_FALSE(result.file().read_strings("/certifiers/refused")[1].empty());
    CHECK(run_program({"export", files.out, "-t", "radii"}).code == 0);
  }
}

TEST_CASE("certify: with moving images bounds and attack take the same set") {
  const Files files;
  const auto outcome =
      run_program(files.words({"--eps", "1e-3,1e-2", "--input-eps", "1e-3", "-b", "linear,exact", "--set",
                               "weight-pgd.steps=20", "--no-radius", "--json", "-o", files.out}));
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.empty());
  const auto tables = json::parse(outcome.out);
  REQUIRE(tables["accuracy"].size() == 4);
  const ResultFile result(files.out);
  CHECK(result.file().read_strings("/certifiers/refused") == std::vector<std::string>{"", ""});
  CHECK(result.threats().front().key == "linf eps=0.001 layers=all biases=false input=0.001");
  const auto reached = result.file().read<double>("/attacked/drop");
  const auto drop = result.file().read<double>("/certificates/drop");
  REQUIRE(drop.size() == 2 * 2 * 30);
  REQUIRE(reached.size() == 2 * 30);
  double tightest = 0;
  for (std::size_t k = 0; k < reached.size(); ++k) {
    CHECK(reached[k] <= drop[60 + k] + 1e-5);
    CHECK(drop[60 + k] <= drop[k] + 1e-5);
    tightest = std::max(tightest, reached[k] / drop[60 + k]);
  }
  CHECK(tightest > 0.99);
}

TEST_CASE("certify: what it refuses") {
  const Files files;
  const auto code = [&](std::vector<std::string> more, const std::string& words) {
    const auto outcome = run_program(files.words(std::move(more)));
    INFO(outcome.err);
    CHECK_THAT(outcome.err, Catch::Contains(words));
    CHECK(outcome.out.empty());
    CHECK_FALSE(std::filesystem::exists(files.out));
    return outcome.code;
  };
  CHECK(code({"--eps", "-1"}, "--eps") == 2);
  CHECK(code({"--eps", "1e-3,1e-3"}, "given twice") == 2);
  CHECK(code({"--eps", "1e-3", "-b", "intervall"}, "did you mean 'interval'?") == 2);
  CHECK(code({"--eps", "1e-3", "-b", "linear,linear"}, "given twice") == 2);
  CHECK(code({"--eps", "1e-3", "--attack", "weight-pdg"}, "did you mean 'weight-pgd'?") == 2);
  CHECK(code({"--eps", "1e-3", "--attack", "bit-flip"}, "it does not search sets like linf") == 2);
  CHECK(code({"--eps", "1e-3", "--set", "weight-pgd.stepps=3"}, "steps") == 2);
  CHECK(code({"--eps", "1e-3", "--set", "gaussian.steps=3"}, "gaussian") == 2);
  CHECK(code({"--eps", "1e-3", "--tolerance", "0"}, "tolerance 0") == 2);
  CHECK(code({"--eps", "1e-3", "--radius-range", "1"}, "LO:HI") == 2);
  CHECK(code({"--eps", "1e-3", "--radius-range", "1:0.1"}, "no range to search") == 2);
  CHECK(code({"--eps", "1e-3", "--attack", "none", "--attack-radius"}, "--attack-radius") == 2);
  CHECK(code({"--eps", "1e-3", "--layers", "9"}, "layer 9") == 2);
  CHECK(code({"--eps", "1e-3", "-o", files.network}, "this command reads it") == 2);
  CHECK(code({"--eps", "1e-3", "-o", files.directory.file("no/where.h5")}, "where.h5") == 3);
}

TEST_CASE("certify: an interrupt ends it with 130 and leaves no file") {
  const Files files;
  const auto words = std::vector<std::string>{"certify",
                                              "-n",
                                              files.network,
                                              "-d",
                                              "synthetic:classes=3,features=8,n=20000,seed=1",
                                              "--eps",
                                              "1e-3:1e-1:log:20",
                                              "--per-layer",
                                              "--attack-radius",
                                              "-o",
                                              files.out};
  Process process(words, files.directory.path());
  sleep_seconds(0.7);
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK_THAT(process.err(), Catch::Contains("nothing was written"));
  CHECK_FALSE(std::filesystem::exists(files.out));
  CHECK_FALSE(std::filesystem::exists(files.out + ".new"));
}
