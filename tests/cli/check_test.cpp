#include <array>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/result.hpp>

#include <temblor/campaign/compare.hpp>
#include <temblor/hdf5/file.hpp>

using namespace temblor;
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

template <class T>
void overwrite(const std::string& file, const std::string& dataset, const std::vector<T>& values,
               const hdf5::Dims& offset, const hdf5::Dims& count) {
  const auto open = hdf5::File::open(file, hdf5::File::Mode::update);
  open.write_slab<T>(dataset, values, offset, count);
}

// One limit of image 0: pair (label 0, class 1).
void forge(const std::string& file, double value) {
  overwrite<double>(file, "/bounds/interval/value", {value}, {0, 0, 1}, {1, 1, 1});
}

}  // namespace

TEST_CASE("check: drops below their bounds pass, with tightness by hand") {
  const Files files;
  const auto outcome = run_program({"check", files.result, "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  CHECK(json["violations"] == 0);
  REQUIRE(json["checks"].size() == 1);
  const auto& row = json["checks"][0];
  // Image 0: drop 1, margins 1 and 2, limits 1.25 and 1.5: the margin may fall by 1.25. Image 1: 0.5 of 0.75.
  CHECK(row["compared"] == 2);
  CHECK(row["violated"] == 0);
  CHECK(row["tightness_max"].get<double>() == Approx(0.8));
  CHECK(row["tightness"][2]["tightness"].get<double>() == Approx((0.8 + 2.0 / 3.0) / 2));
  CHECK(row["worst_sample"] == 0);
  CHECK(row["worst_drop"] == 1.0);
  CHECK(row["worst_bound"].get<double>() == Approx(1.25));
  CHECK(row["tolerance"] == 0.0);
  CHECK(row["replay"] == "temblor replay " + files.result + " --point 0 --trial 0 --sample 0");
  REQUIRE(json["unchecked"].size() == 1);
  CHECK(json["unchecked"][0]["point"] == 1);
  CHECK(json["unchecked"][0]["reason"] == "bits");
}

TEST_CASE("check: a bound below a measured drop is an exit code 1 with its image and replay command") {
  const Files files;
  forge(files.result, 0.99);
  for (const bool json : {false, true}) {
    auto words = std::vector<std::string>{"check", files.result};
    if (json) words.push_back("--json");
    const auto outcome = run_program(words);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Catch::Contains("point 0, bound interval: 1 of 2 images exceed it"));
    CHECK_THAT(outcome.err, Catch::Contains("image 0 dropped by 1, bound 0.99"));
    CHECK_THAT(outcome.err,
               Catch::Contains("temblor replay " + files.result + " --point 0 --trial 0 --sample 0"));
  }
}

TEST_CASE("check: a pair may exceed its own limit while the margin does not") {
  const Files files;
  // Image 0: class 2 has margin 2 and limit 1.5; say the pair (0, 2) dropped by 1.6, the margin by 1 as
  // before.
  overwrite<double>(files.result, "/margins/worst_pair_drop", {1.6}, {0, 0}, {1, 1});
  overwrite<std::int32_t>(files.result, "/margins/worst_pair_class", {2}, {0, 0}, {1, 1});
  const auto outcome = run_program({"check", files.result});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.err, Catch::Contains("image 0 dropped by 1.6, bound 1.5"));
}

TEST_CASE("check: a drop that is not finite exceeds every bound") {
  const Files files;
  overwrite<double>(files.result, "/margins/worst_drop", {std::numeric_limits<double>::infinity()}, {0, 1},
                    {1, 1});
  const auto outcome = run_program({"check", files.result, "--json"});
  CHECK(outcome.code == 1);
  CHECK(nlohmann::json::parse(outcome.out)["checks"][0]["worst_drop"] == "inf");
}

TEST_CASE("check: bounds of another file, equal or larger sets") {
  const Files files;
  CHECK(run_program({"check", files.result, files.bounds}).code == 0);
  forge(files.bounds, 0.5);
  CHECK(run_program({"check", files.result, files.bounds}).code == 1);
  CHECK(run_program({"check", files.result}).code == 0);

  // A larger ball covers the point, a smaller one does not.
  const auto rename = [&](double severity) {
    const auto path = files.directory.file("other.h5");
    make_bounds(path, severity);
    return path;
  };
  CHECK_THAT(run_program({"check", files.result, rename(2e-3)}).out, Catch::Contains("interval"));
  const auto smaller = run_program({"check", files.result, rename(5e-4)});
  CHECK(smaller.code == 0);
  CHECK_THAT(smaller.out, Catch::Contains("no bound for a set that contains linf eps=0.001"));
  CHECK_THAT(smaller.err, Catch::Contains("nothing was compared"));
}

TEST_CASE("check: files that do not belong together, or are no results, are refused") {
  const Files files;
  hdf5::File::open(files.bounds, hdf5::File::Mode::update).set_text("network_id", "another");
  const auto outcome = run_program({"check", files.result, files.bounds});
  CHECK(outcome.code == 3);
  CHECK_THAT(outcome.err, Catch::Contains("different networks"));
  CHECK(run_program({"check", files.bounds}).code == 2);
  CHECK(run_program({"check", files.directory.file("missing.h5")}).code == 3);
}

TEST_CASE("check: an infinite bound says nothing, not even of a drop that is not finite") {
  const Files files;
  const double infinity = std::numeric_limits<double>::infinity();
  forge(files.result, infinity);
  overwrite<double>(files.result, "/margins/worst_drop", {infinity}, {0, 0}, {1, 1});
  overwrite<double>(files.result, "/margins/worst_pair_drop", {infinity}, {0, 0}, {1, 1});
  overwrite<std::int32_t>(files.result, "/margins/worst_pair_class", {1}, {0, 0}, {1, 1});
  const auto outcome = run_program({"check", files.result, "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(nlohmann::json::parse(outcome.out)["checks"][0]["tightness_max"].get<double>() < 1);
}

TEST_CASE("check: classes and points that are none are refused") {
  for (const std::int32_t none : {-1, 3, 1000000}) {
    const Files files;
    overwrite<std::int32_t>(files.result, "/margins/worst_pair_class", {none}, {0, 0}, {1, 1});
    const auto outcome = run_program({"check", files.result});
    CHECK(outcome.code == 3);
    CHECK_THAT(outcome.err, Catch::Contains("/margins/worst_pair_class"));
  }
  const Files files;
  overwrite<std::int64_t>(files.result, "/points/index", {1000000}, {0}, {1});
  CHECK(run_program({"check", files.result}).code == 3);
}
