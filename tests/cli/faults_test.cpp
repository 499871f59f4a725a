#include <filesystem>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Trials of a point of one file are those of the only point of another.
void check_same(const std::string& first, std::int64_t point, const std::string& again) {
  const ResultFile a(first), b(again);
  const auto& row = a.points()[static_cast<std::size_t>(point)];
  REQUIRE(b.points().size() == 1);
  REQUIRE(b.points()[0].trials == row.trials);
  std::int64_t flips = 0;
  for (std::int64_t t = 0; t < row.trials; ++t) {
    auto old = a.trials()[static_cast<std::size_t>(row.first_trial + t)];
    const auto& now = b.trials()[static_cast<std::size_t>(t)];
    flips += old.flipped_bits;
    old.point = 0;
    CHECK(same_trial(old, now));
  }
  CHECK(flips > 0);
}

}  // namespace

TEST_CASE("a campaign's fault list, run again, gives every trial's row bit for bit") {
  const CampaignBench bench;
  const auto out = bench.file("out.h5");
  bench.expect(
      0, "run" + bench.of + " --attack bit-flip --ber 1e-3,2e-2 --format fp32,int8 --trials 20 -o " + out);
  const std::vector<std::string> formats{"fp32", "int8"};
  for (int point = 0; point < 4; ++point) {
    const auto list = bench.file("list" + std::to_string(point) + ".h5");
    const auto again = bench.file("again" + std::to_string(point) + ".h5");
    bench.expect(0, "faults " + out + " --point " + std::to_string(point) + " -o " + list);
    bench.expect(0, "run" + bench.of + " --attack fault-map --set file=" + list +
                        " --seed 99 --trials 20 --format " + formats[static_cast<std::size_t>(point) % 2] +
                        " -o " + again);
    check_same(out, point, again);
    // And the list of the list is the list.
    const auto second = bench.file("second" + std::to_string(point) + ".h5");
    bench.expect(0, "faults " + again + " -o " + second);
    const auto third = bench.file("third" + std::to_string(point) + ".h5");
    bench.expect(0, "run" + bench.of + " --attack fault-map --set file=" + second + " --trials 20 --format " +
                        formats[static_cast<std::size_t>(point) % 2] + " -o " + third);
    check_same(out, point, third);
  }
}

TEST_CASE("the list of a campaign that stopped early ends where it did") {
  const CampaignBench bench;
  bench.expect(0,
               "run" + bench.of +
                   " --attack bit-flip --flips 1 --format int8 --trials 5000 --until ci(any_change)<10% -o " +
                   bench.file("out.h5"));
  const auto trials = ResultFile(bench.file("out.h5")).points()[0].trials;
  REQUIRE(trials < 5000);
  bench.expect(0, "faults " + bench.file("out.h5") + " -o " + bench.file("list.h5"));
  CHECK(hdf5::File::open(bench.file("list.h5"), hdf5::File::Mode::read).dims("bit") ==
        hdf5::Dims{static_cast<std::size_t>(trials)});
}

TEST_CASE("a list from options is that from the result file, and trials can be chosen") {
  const CampaignBench bench;
  const auto attack = bench.of + " --attack bit-flip --flips 3 --format int8 --trials 9";
  bench.expect(0, "run" + attack + " -o " + bench.file("out.h5"));
  bench.expect(0, "faults " + bench.file("out.h5") + " -o " + bench.file("a.h5"));
  bench.expect(0, "faults" + attack + " -o " + bench.file("b.h5") + " --threads 1");
  CHECK(digest(bench.file("a.h5")) == digest(bench.file("b.h5")));
  CHECK(hdf5::File::open(bench.file("a.h5"), hdf5::File::Mode::read).dims("bit") == hdf5::Dims{27});
  bench.expect(0, "faults" + attack + " --trial 2:4 -o " + bench.file("c.h5"));
  const auto part = hdf5::File::open(bench.file("c.h5"), hdf5::File::Mode::read);
  CHECK(part.read<std::int64_t>("trial") == std::vector<std::int64_t>{2, 2, 2, 3, 3, 3});
}

TEST_CASE(
    "a map's identity is what is in the file, not where it is; a moved one is found beside the result") {
  const CampaignBench bench;
  const auto list = bench.file("list.h5");
  bench.expect(0, "faults" + bench.of + " --attack bit-flip --flips 3 --format int8 --trials 5 -o " + list);
  const auto moved = bench.file("moved.h5");
  std::filesystem::copy_file(list, moved);
  const auto run = [&](const std::string& map, const std::string& out) {
    return "run" + bench.of + " --attack fault-map --set file=" + map + " --format int8 --trials 5 -o " +
           bench.file(out);
  };
  bench.expect(0, run(list, "a.h5"));
  bench.expect(0, run(moved, "b.h5"));
  CHECK(ResultFile(bench.file("a.h5")).campaign_id() == ResultFile(bench.file("b.h5")).campaign_id());
  CHECK(digest(bench.file("a.h5")) == digest(bench.file("b.h5")));
  bench.expect(0, "faults" + bench.of + " --attack bit-flip --flips 4 --format int8 --trials 5 -o " + moved);
  bench.expect(0, run(moved, "c.h5"));
  CHECK(ResultFile(bench.file("a.h5")).campaign_id() != ResultFile(bench.file("c.h5")).campaign_id());
  CHECK_THAT(bench.expect(2, run(moved, "a.h5")), Catch::Contains("file="));

  const TemporaryDirectory elsewhere;
  for (const auto* name : {"a.h5", "list.h5", "net.h5"})
    std::filesystem::rename(bench.file(name), elsewhere.file(name));
  bench.expect(0, "replay " + elsewhere.file("a.h5") + " --point 0 --trial 3");
  std::filesystem::remove(elsewhere.file("list.h5"));
  CHECK_THAT(bench.expect(3, "replay " + elsewhere.file("a.h5") + " --point 0 --trial 3"),
             Catch::Contains("list.h5"));
}

TEST_CASE("more trials than a list has fail, each with its reason") {
  const CampaignBench bench;
  const auto list = bench.file("list.h5");
  bench.expect(0, "faults" + bench.of + " --attack bit-flip --flips 3 --format int8 --trials 5 -o " + list);
  const auto words = bench.expect(0, "run" + bench.of + " --attack fault-map --set file=" + list +
                                         " --format int8 --trials 6 -o " + bench.file("out.h5"));
  CHECK_THAT(words, Catch::Contains("1 trials failed"));
}

TEST_CASE("a spec's map is looked for beside the spec") {
  const CampaignBench bench;
  bench.expect(0, "faults" + bench.of + " --attack bit-flip --flips 3 --format int8 --trials 5 -o " +
                      bench.file("list.h5"));
  write_file(bench.file("spec.toml"), "trials = 5\n[network]\nfile = \"net.h5\"\n[data]\nset = \"" +
                                          std::string(synthetic_data) +
                                          "\"\n[[attack]]\nname = \"fault-map\"\nfile = \"list.h5\"\n"
                                          "format = \"int8\"\n");
  bench.expect(0, "run " + bench.file("spec.toml") + " -o " + bench.file("out.h5"));
  CHECK(ResultFile(bench.file("out.h5")).points()[0].severity == 1);
}

TEST_CASE("faults: what has no list, and bad requests, are refused") {
  const CampaignBench bench;
  const auto list = " -o " + bench.file("list.h5");
  using Catch::Contains;
  CHECK_THAT(bench.expect(2, "faults" + bench.of + " --attack gaussian --eps 1e-3" + list),
             Contains("has no list of faults"));
  CHECK_THAT(bench.expect(2, "faults" + bench.of +
                                 " --attack bit-flip --set target=scales --ber 0.1 --format int8" + list),
             Contains("not in the codes of weights"));
  const auto attack = "faults" + bench.of + " --attack bit-flip --ber 1e-3,1e-2 --trials 4";
  CHECK_THAT(bench.expect(2, attack + list), Contains("--point 0 to 1"));
  bench.expect(2, attack + " --point 2" + list);
  bench.expect(2, attack + " --point 0 --trial 4" + list);
  bench.expect(2, attack + " --point 0 --trial 3:2" + list);
  CHECK_THAT(bench.expect(2, "run" + bench.of + " --attack fault-map" + list), Contains("--set file="));
  CHECK_THAT(bench.expect(3, "run" + bench.of + " --attack fault-map --set file=/no/such.h5" + list),
             Contains("/no/such.h5"));
  bench.expect(0, attack + " --point 0" + list);
  CHECK_THAT(bench.expect(3, "run" + bench.of + " --attack fault-map --set file=" + bench.file("list.h5") +
                                 " --format int8 -o " + bench.file("out.h5")),
             Contains("list.h5") && Contains("fp32"));
  bench.expect(0, "run" + bench.of + " --attack bit-flip --ber 1e-3 -o " + bench.file("out.h5"));
  CHECK_THAT(bench.expect(2, "faults " + bench.file("out.h5") + " --ber 1e-2" + list), Contains("--ber"));
  const auto bytes = read_file(bench.file("list.h5"));
  write_file(bench.file("cut.h5"), bytes.substr(0, bytes.size() / 2));
  CHECK_THAT(
      bench.expect(3, "run" + bench.of + " --attack fault-map --set file=" + bench.file("cut.h5") + list),
      Contains("cut.h5"));
}
