#include <cmath>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// A directory with a network and a spec of three points.
class Campaign {
 public:
  Campaign() : network_(make_network(directory_.path())) {
    write_file(
        spec(),
        "seed = 3\ntrials = 6\n[network]\nfile = \"net.h5\"\n[data]\nset = \"" + std::string(synthetic_data) +
            "\"\n[[attack]]\nname = \"weight-pgd\"\neps = [1e-3, 1e-2]\nsteps = 4\nscope = \"sample\"\n"
            "[[attack]]\nname = \"bit-flip\"\nflips = 2\nformat = \"int8\"\ntrials = 70\n"
            "[bounds]\nnames = [\"interval\", \"norm-product\"]\n");
  }
  std::string file(const std::string& name) const { return directory_.file(name); }
  std::string spec() const { return file("spec.toml"); }
  const std::string& network() const { return network_; }
  testing::Outcome run(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"run", spec(), "-o", file("out.h5")};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

 private:
  TemporaryDirectory directory_;
  std::string network_;
};

}  // namespace

TEST_CASE("a campaign's bounds say what they leave out") {
  const Campaign campaign;
  write_file(campaign.spec(), "[network]\nfile = \"net.h5\"\n[data]\nset = \"" + std::string(synthetic_data) +
                                  "\"\n[[attack]]\nname = \"bit-flip\"\nber = 1e-3\nformat = \"int8\"\n"
                                  "trials = 3\n[bounds]\nnames = [\"interval\"]\n");
  const auto run = campaign.run();
  CHECK(run.code == 0);
  CHECK(run.err.find("does not cover bits") != std::string::npos);
}

TEST_CASE("a campaign leaves one complete result file") {
  const Campaign campaign;
  const auto run = campaign.run();
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.out.find("weight-pgd") != std::string::npos);
  CHECK(run.out.find("temblor replay") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(campaign.file("out.h5.partial")));
  CHECK_FALSE(std::filesystem::exists(campaign.file("out.h5.lock")));

  const ResultFile result(campaign.file("out.h5"));
  REQUIRE(result.points().size() == 3);
  CHECK(result.points()[0].per_sample);
  CHECK_FALSE(result.points()[2].per_sample);
  CHECK(result.points()[2].format == "int8");
  CHECK(result.points()[2].quantity == "flips");
  CHECK(result.trials().size() == 82);
  CHECK(result.formats() == std::vector<std::string>{"fp32", "int8"});
  REQUIRE(result.checks().size() == 6);
  for (const auto& check : result.checks()) {
    CHECK(check.compared == 200);
    CHECK(check.violated == 0);
    CHECK(check.tightness_max > 0);
    CHECK(check.tightness_max <= 1);
  }

  // The folds agree with the trials: worst drop over images = worst over trials, sums likewise.
  for (const auto& point : result.points()) {
    const auto margins = result.margins(point.index);
    double worst = -1e300, sum = 0;
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const auto& trial = result.trials()[static_cast<std::size_t>(point.first_trial + t)];
      CHECK(trial.outcome == temblor::Outcome::done);
      worst = std::max(worst, trial.drop_max);
      sum += trial.drop_sum;
    }
    CHECK(*std::max_element(margins.worst_drop.begin(), margins.worst_drop.end()) == worst);
    double folded = 0;
    for (const double part : margins.drop_sum) folded += part;
    CHECK(folded == Approx(sum).epsilon(1e-9));
    for (const auto trial : margins.worst_trial) CHECK((trial >= 0 && trial < point.trials));
  }
}

TEST_CASE("a finished campaign does no work and says so") {
  const Campaign campaign;
  REQUIRE(campaign.run().code == 0);
  const auto before = std::filesystem::last_write_time(campaign.file("out.h5"));
  const auto again = campaign.run();
  CHECK(again.code == 0);
  CHECK(again.err.find("nothing was done") != std::string::npos);
  CHECK(std::filesystem::last_write_time(campaign.file("out.h5")) == before);
}

TEST_CASE("a changed spec is refused with what differs") {
  const Campaign campaign;
  REQUIRE(campaign.run().code == 0);
  const auto changed = campaign.run({"--seed", "4"});
  CHECK(changed.code == 2);
  CHECK(changed.err.find("'seed 3' there, 'seed 4' here") != std::string::npos);
  write_file(campaign.file("out.h5"), "no HDF5 file at all");
  const auto other = campaign.run();
  CHECK(other.code == 2);
  CHECK(other.err.find("out.h5") != std::string::npos);
  CHECK(read_file(campaign.file("out.h5")) == "no HDF5 file at all");
}

TEST_CASE("any number of threads gives the same content") {
  const Campaign campaign;
  REQUIRE(campaign.run({"--threads", "1"}).code == 0);
  const auto first = digest(campaign.file("out.h5"));
  std::filesystem::remove(campaign.file("out.h5"));
  REQUIRE(campaign.run({"--threads", "2"}).code == 0);
  CHECK(digest(campaign.file("out.h5")) == first);
}

TEST_CASE("the command line alone makes a campaign, the environment comes between") {
  const Campaign campaign;
  const auto words = [&](const std::string& name) {
    return std::vector<std::string>{"run",
                                    "--network",
                                    campaign.network(),
                                    "--dataset",
                                    synthetic_data,
                                    "--attack",
                                    "weight-pgd",
                                    "--eps",
                                    "1e-3,2e-3",
                                    "--set",
                                    "steps=2",
                                    "-o",
                                    campaign.file(name)};
  };
  ::setenv("TEMBLOR_SEED", "11", 1);
  const auto run = run_program(words("a.h5"));
  auto with_flag = words("b.h5");
  with_flag.insert(with_flag.end(), {"--seed", "12"});
  const auto flagged = run_program(with_flag);
  ::unsetenv("TEMBLOR_SEED");
  INFO(run.err);
  REQUIRE(run.code == 0);
  REQUIRE(flagged.code == 0);
  CHECK(ResultFile(campaign.file("a.h5")).seed() == 11);
  CHECK(ResultFile(campaign.file("b.h5")).seed() == 12);
  CHECK(ResultFile(campaign.file("a.h5")).points().size() == 2);
}

TEST_CASE("an output that cannot be is refused before any work") {
  const Campaign campaign;
  const auto missing = run_program({"run", campaign.spec(), "-o", campaign.file("no/such/out.h5")});
  CHECK(missing.code == 3);
  CHECK(missing.err.find("no/such") != std::string::npos);
  const auto nameless = run_program({"run", "--network", campaign.network()});
  CHECK(nameless.code == 2);
  CHECK(nameless.err.find("-o") != std::string::npos);
  CHECK(run_program({"run", campaign.spec(), "-o", ""}).code == 2);
}

TEST_CASE("replay writes neither over what it reads nor over other kinds of file") {
  const Campaign campaign;
  REQUIRE(campaign.run().code == 0);
  const auto onto = [&](const std::string& target) {
    return run_program({"replay", campaign.file("out.h5"), "--point", "0", "--trial", "0", "-o", target});
  };
  const auto network = onto(campaign.network());
  CHECK(network.code == 2);
  CHECK(network.err.find("this command reads it") != std::string::npos);
  CHECK(onto(campaign.file("out.h5")).code == 2);
  CHECK(onto(campaign.spec()).code == 3);
  CHECK(onto(campaign.file("broken.h5")).code == 0);
}

TEST_CASE("an empty spec is a campaign without attacks, not an unreadable file") {
  const Campaign campaign;
  const auto empty = campaign.file("empty.toml");
  std::ofstream(empty).close();
  const auto outcome = run_program({"run", empty, "-o", campaign.file("none.h5")});
  CHECK(outcome.code == 2);
  CHECK(outcome.err.find("no network") != std::string::npos);
  CHECK(run_program({"run", campaign.file("."), "-o", campaign.file("none.h5")}).code == 3);
}

TEST_CASE("JSON of names that are not UTF-8") {
  const Campaign campaign;
  const auto odd = campaign.file("a\xff.h5");
  std::filesystem::copy(campaign.network(), odd);
  CHECK(run_program({"plan", campaign.spec(), "--network", odd, "--json"}).code == 0);
  const auto eval =
      run_program({"eval", "--network", odd, "--dataset", std::string(synthetic_data), "--json"});
  CHECK(eval.code == 0);
  CHECK(eval.out.find("\uFFFD") != std::string::npos);
}

TEST_CASE("every trial can be made again, and its network written") {
  const Campaign campaign;
  REQUIRE(campaign.run().code == 0);
  for (const std::string point : {"0", "1", "2"}) {
    const auto again = run_program({"replay", campaign.file("out.h5"), "--point", point, "--trial", "3", "-o",
                                    campaign.file("broken.h5")});
    INFO(again.out << again.err);
    CHECK(again.code == 0);
    CHECK(again.out.find("margin drop") != std::string::npos);
    // The written network alone gives the drop of that image: a per-sample one was written for it.
    CHECK(std::filesystem::exists(campaign.file("broken.h5")));
    std::filesystem::remove(campaign.file("broken.h5"));
  }
  CHECK(run_program({"replay", campaign.file("out.h5"), "--point", "3", "--trial", "0"}).code == 2);
  CHECK(run_program({"replay", campaign.file("out.h5"), "--point", "0", "--trial", "6"}).code == 2);
  CHECK(run_program({"replay", campaign.file("out.h5"), "--point", "0", "--trial", "0", "--sample", "200"})
            .code == 2);
}

TEST_CASE("replay names the file that changed") {
  const Campaign campaign;
  REQUIRE(campaign.run().code == 0);
  const TemporaryDirectory elsewhere;
  std::filesystem::copy(campaign.file("out.h5"), elsewhere.file("out.h5"));
  std::filesystem::copy(campaign.network(), elsewhere.file("net.h5"));
  CHECK(run_program({"replay", elsewhere.file("out.h5"), "--point", "2", "--trial", "0"}).code == 0);
  REQUIRE(run_program({"replay", campaign.file("out.h5"), "--point", "2", "--trial", "3", "-o",
                       elsewhere.file("net.h5")})
              .code == 0);
  const auto other = run_program({"replay", elsewhere.file("out.h5"), "--point", "2", "--trial", "0",
                                  "--network", elsewhere.file("net.h5")});
  CHECK(other.code == 3);
  CHECK(other.err.find("net.h5") != std::string::npos);
}

TEST_CASE("plan prints and runs nothing") {
  const Campaign campaign;
  const auto plan = run_program({"plan", campaign.spec()});
  CHECK(plan.code == 0);
  CHECK(plan.out.find("3 points, 47 blocks, 82 trials") != std::string::npos);
  CHECK(plan.out.find("disk:") != std::string::npos);
  const auto json = run_program({"plan", campaign.spec(), "--json"});
  CHECK(json.code == 0);
  CHECK(json.out.find("\"partial_bytes\"") != std::string::npos);
  CHECK(std::distance(
            std::filesystem::directory_iterator(std::filesystem::path(campaign.spec()).parent_path()), {}) ==
        2);
  CHECK(run_program({"plan", campaign.spec(), "--eps", "-1"}).code == 2);
}

TEST_CASE("the reference of the result file is the one in docs") {
  CHECK(run_program({"help", "--result-file"}).out == read_file(source_dir() + "/docs/result-file.md"));
}
