#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

struct Campaign {
  TemporaryDirectory directory;
  std::string base = "run --network " + make_network(directory.path()) + " --dataset " + synthetic_data +
                     " --format int8 --trials 20 --seed 4 ";

  std::string file() const { return directory.file("out.h5"); }
  testing::Outcome run(const std::string& line) const { return run_line(base + line + " -o " + file()); }
};

}  // namespace

TEST_CASE("a sweep over voltages is one campaign, which states voltages and rates") {
  const Campaign campaign;
  const auto run = campaign.run(
      "--attack stuck-at --set mode=nested --set value=random --volts 0.6,0.65,0.7,0.8 "
      "--voltage 0.8=1e-4,0.6=0.5,0.7=5e-3");
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK_THAT(run.out, Catch::Contains("volts=0.65 (rate 0.05)"));
  const ResultFile result(campaign.file());
  REQUIRE(result.points().size() == 4);
  const std::vector<double> volts{0.6, 0.65, 0.7, 0.8}, rates{0.5, 0.05, 5e-3, 1e-4};
  for (std::size_t p = 0; p < 4; ++p) {
    CHECK(result.points()[p].quantity == "volts");
    CHECK(result.points()[p].unit == "V");
    CHECK(result.points()[p].severity == volts[p]);
    CHECK(result.points()[p].acting == Approx(rates[p]));
  }
  // Faults of one trial: fewer at every higher voltage.
  std::int64_t fewer = 0;
  for (std::size_t t = 0; t < 20; ++t) {
    for (std::size_t p = 1; p < 4; ++p) {
      const auto more = result.trials()[(p - 1) * 20 + t].flipped_bits,
                 less = result.trials()[p * 20 + t].flipped_bits;
      REQUIRE(less <= more);
      fewer += less < more ? 1 : 0;
    }
  }
  CHECK(fewer > 40);
  const auto again = run_line("replay " + campaign.file() + " --point 1 --trial 3");
  INFO(again.err);
  CHECK(again.code == 0);
  const auto points = run_line("export " + campaign.file() + " -t points -f csv");
  CHECK_THAT(points.out, Catch::Contains("acting"));
  CHECK_THAT(campaign.run("--attack stuck-at --volts 0.9 --voltage 0.6=0.1,0.8=1e-4").err,
             Catch::Contains("volts 0.9") && Catch::Contains("0.6 to 0.8"));
}

TEST_CASE("every fault model runs, and its trials are made again from the file") {
  for (const std::string line :
       {"--attack memory --set unit=column --failures 3 --memory word=16,row=4,banks=2,interleave=word",
        "--attack memory --rate 0.1 --memory word=16,row=4,weights=column-major,layers=reverse",
        "--attack word --set value=random --words 2",
        "--attack word --set unit=memory --rate 0.1 --memory word=12",
        "--attack burst --set length=6 --bursts 2 --memory row=4,bit-interleave=2",
        "--attack asymmetric --set p10=0.5 --set mode=nested --rate 0.01", "--attack stuck-at --cells 9",
        "--attack bit-flip --set mode=nested --set channel=0+2 --ber 0.01"}) {
    CAPTURE(line);
    const Campaign campaign;
    const auto run = campaign.run(line);
    INFO(run.err);
    REQUIRE(run.code == 0);
    std::int64_t flipped = 0;
    const ResultFile result(campaign.file());
    for (const auto& trial : result.trials()) flipped += trial.flipped_bits;
    CHECK(flipped > 0);
    const auto again = run_line("replay " + campaign.file() + " --point 0 --trial 7");
    INFO(again.err);
    CHECK(again.code == 0);
  }
}

TEST_CASE("a memory or table of voltages that cannot be is refused by its option") {
  const Campaign campaign;
  const auto refused = [&](const std::string& options) {
    const auto run = campaign.run("--attack memory --rate 0.1 " + options);
    CHECK(run.code == 2);
    return run.err;
  };
  CHECK_THAT(refused("--memory word"), Catch::Contains("--memory word (not of the form name=value)"));
  CHECK_THAT(refused("--memory word=0"), Catch::Contains("--memory, word"));
  CHECK_THAT(refused("--memory word=8,word=16"), Catch::Contains("given twice"));
  CHECK_THAT(refused("--memory bank=8"), Catch::Contains("'banks'"));
  CHECK_THAT(refused("--voltage 0.6"), Catch::Contains("--voltage 0.6 (not of the form name=value)"));
  CHECK_THAT(refused("--volts 0.6"), Catch::Contains("no table of voltages"));
}
