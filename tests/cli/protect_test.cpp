#include <filesystem>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/plan.hpp>
#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Bit flips of int8 codes under protections.
class Protected {
 public:
  Protected() : network_(make_network(directory_.path())) {}
  std::string file(const std::string& name) const { return directory_.file(name); }
  testing::Outcome run(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> words{"run",    "--network", network_, "--dataset", synthetic_data,
                                   "--seed", "5",         "-o",     file(name)};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }
  testing::Outcome flips(const std::string& name, const std::vector<std::string>& more) const {
    std::vector<std::string> words{"--attack", "bit-flip", "--format", "int8", "--ber", "5e-3"};
    words.insert(words.end(), more.begin(), more.end());
    return run(name, words);
  }

 private:
  TemporaryDirectory directory_;
  std::string network_;
};

const char* const everything =
    "none,secded-72-64,secded-39-32,parity:width=8,tmr,tmr-selective:fraction=0.2,fixed-bits,clip,clip:to="
    "zero,ranger";

}  // namespace

TEST_CASE("protections of one point meet the same faults, those that the point has without them") {
  const Protected campaign;
  REQUIRE(campaign.flips("plain.h5", {"--trials", "60"}).code == 0);
  const auto run = campaign.flips("out.h5", {"--trials", "60", "--protect", everything});
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.out.find("secded-72-64") != std::string::npos);
  CHECK(run.out.find("Pareto") != std::string::npos);
  const ResultFile plain(campaign.file("plain.h5"));
  const ResultFile result(campaign.file("out.h5"));
  REQUIRE(result.points().size() == 10);
  std::int64_t none = 0, tmr = 0, corrected = 0;
  for (const auto& point : result.points()) {
    CHECK(point.stream == 0);
    CHECK(point.stored_bits == 356 * 8 + 3 * 32);
    CHECK((point.overhead_bits == 0) == (point.protection == "none"));
    for (std::int64_t t = 0; t < point.trials; ++t) {
      const auto& trial = result.trials()[static_cast<std::size_t>(point.first_trial + t)];
      const auto& before = plain.trials()[static_cast<std::size_t>(t)];
      REQUIRE(trial.flipped_bits == before.flipped_bits);
      if (point.protection == "none") {
        CHECK(trial.changed_weights == before.changed_weights);
        CHECK(trial.l2 == before.l2);
        CHECK(trial.drop_sum == before.drop_sum);
        CHECK(trial.check_faults == 0);
        none += trial.changed;
      }
      if (point.protection == "tmr") tmr += trial.changed;
      if (point.protection == "secded-72-64") corrected += trial.corrected_words;
      if (point.protection == "clip") CHECK(trial.changed_weights <= before.changed_weights);
      if (point.protection == "clip") CHECK(trial.linf <= before.linf);
      if (point.protection == "ranger") CHECK(trial.l2 == before.l2);
    }
  }
  CHECK(none > 0);
  CHECK(tmr < none);
  CHECK(corrected > 0);
}

TEST_CASE("without protections a campaign is the one it always was") {
  const Protected campaign;
  Spec spec;
  spec.network = make_network(std::filesystem::path(campaign.file("x")).parent_path().string());
  spec.data.set = synthetic_data;
  spec.attacks = {{.name = "bit-flip", .severity = {1e-3}}, {.name = "bit-flip", .severity = {2e-3}}};
  const auto plan = make_plan(spec);
  CHECK(plan.identity.find("protect") == std::string::npos);
  CHECK(plan.points[1].stream == 1);
  spec.attacks[0].protect = {"tmr", "none"};
  const auto other = make_plan(spec);
  CHECK(other.id != plan.id);
  REQUIRE(other.points.size() == 3);
  CHECK(other.points[0].stream == 0);
  CHECK(other.points[1].stream == 0);
  CHECK(other.points[2].stream == 1);
  CHECK(to_toml(plan.spec).find("protect") == std::string::npos);
  CHECK(to_toml(parse_spec(to_toml(other.spec), "again.toml", "")) == to_toml(other.spec));
}

TEST_CASE("protected trials replay bit for bit, and do not depend on threads") {
  const Protected campaign;
  REQUIRE(campaign.flips("one.h5", {"--trials", "20", "--protect", everything, "--threads", "1"}).code == 0);
  REQUIRE(campaign.flips("two.h5", {"--trials", "20", "--protect", everything, "--threads", "2"}).code == 0);
  CHECK(digest(campaign.file("one.h5")) == digest(campaign.file("two.h5")));
  for (int point = 0; point < 10; ++point) {
    for (const char* trial : {"0", "13"}) {
      const auto again = run_program(
          {"replay", campaign.file("one.h5"), "--point", std::to_string(point), "--trial", trial});
      INFO(again.out << again.err);
      CHECK(again.code == 0);
    }
  }
}

TEST_CASE("full re-inference gives equal counts under protection") {
  const Protected campaign;
  REQUIRE(campaign.flips("fast.h5", {"--trials", "20", "--protect", "none,clip,ranger"}).code == 0);
  REQUIRE(campaign.flips("full.h5", {"--trials", "20", "--protect", "none,clip,ranger", "--full"}).code == 0);
  const ResultFile fast(campaign.file("fast.h5")), full(campaign.file("full.h5"));
  REQUIRE(fast.trials().size() == full.trials().size());
  for (std::size_t t = 0; t < full.trials().size(); ++t) {
    CHECK(fast.trials()[t].correct == full.trials()[t].correct);
    CHECK(fast.trials()[t].changed == full.trials()[t].changed);
    CHECK(fast.trials()[t].no_prediction == full.trials()[t].no_prediction);
  }
}

TEST_CASE("protections that have nothing to protect are refused with the reason") {
  const Protected campaign;
  const auto refused = [&](const std::vector<std::string>& words) {
    const auto run = campaign.run("no.h5", words);
    CHECK(run.code == 2);
    return run.err;
  };
  CHECK(refused({"--attack", "gaussian", "--eps", "0.1", "--protect", "secded-72-64"})
            .find("does not act on them") != std::string::npos);
  CHECK(refused({"--attack", "bit-flip", "--ber", "1e-3", "--format", "int8", "--set", "target=scales",
                 "--protect", "tmr"})
            .find("does not act on them") != std::string::npos);
  CHECK(refused({"--attack", "weight-pgd", "--eps", "1e-3", "--set", "scope=sample", "--protect", "clip"})
            .find("every image has its own") != std::string::npos);
  CHECK(refused({"--attack", "bit-flip", "--ber", "1e-3", "--protect", "secded"}).find("secded-72-64") !=
        std::string::npos);
  CHECK(refused({"--attack", "bit-flip", "--ber", "1e-3", "--protect", "clip,clip:to=limit"}).find("twice") !=
        std::string::npos);
  const auto noise = campaign.run(
      "noise.h5", {"--attack", "gaussian", "--eps", "0.3", "--protect", "none,clip,ranger", "--trials", "5"});
  INFO(noise.err);
  CHECK(noise.code == 0);
}

TEST_CASE("bounds hold for clipped weights, and claim nothing of repaired codes") {
  const Protected campaign;
  REQUIRE(campaign
              .run("clip.h5", {"--attack", "weight-pgd", "--eps", "0.02", "--set", "steps=5", "--protect",
                               "none,clip,clip:to=zero,ranger", "--bound", "interval"})
              .code == 0);
  const ResultFile clip(campaign.file("clip.h5"));
  CHECK(clip.points()[0].threat == clip.points()[1].threat);
  CHECK(clip.points()[2].threat != clip.points()[0].threat);
  CHECK(clip.points()[3].threat != clip.points()[0].threat);
  CHECK(clip.checks().size() == 2);
  REQUIRE(campaign
              .run("ecc.h5", {"--attack", "bit-flip", "--flips", "1", "--format", "int8", "--protect",
                              "none,fixed-bits,secded-72-64", "--bound", "linear"})
              .code == 0);
  const ResultFile ecc(campaign.file("ecc.h5"));
  REQUIRE(ecc.points().size() == 3);
  CHECK(ecc.points()[1].threat == ecc.points()[0].threat);
  CHECK(ecc.threats()[static_cast<std::size_t>(ecc.points()[2].threat)].key.find("secded-72-64") !=
        std::string::npos);
  REQUIRE(ecc.checks().size() == 2);
  for (const auto& check : ecc.checks()) {
    CHECK(check.point < 2);
    CHECK(check.violated == 0);
  }
}

TEST_CASE("a census says which weights have copies") {
  const Protected campaign;
  const auto census = [&](const std::string& format) {
    const auto path = campaign.file(format + ".h5");
    REQUIRE(run_program({"census", "--network", campaign.file("net.h5"), "--dataset", synthetic_data,
                         "--format", format, "-o", path})
                .code == 0);
    return path;
  };
  const auto chosen = "tmr-selective:by=census:census=" + census("int8");
  const auto run = campaign.flips("out.h5", {"--trials", "40", "--protect", "none,tmr-selective," + chosen});
  INFO(run.err);
  REQUIRE(run.code == 0);
  const ResultFile result(campaign.file("out.h5"));
  CHECK(result.points()[1].overhead_bits == result.points()[2].overhead_bits);
  std::vector<std::int64_t> changed(3, 0);
  for (const auto& trial : result.trials()) changed[static_cast<std::size_t>(trial.point)] += trial.changed;
  CHECK(changed[2] < changed[0]);
  CHECK(run_program({"replay", campaign.file("out.h5"), "--point", "2", "--trial", "7"}).code == 0);
  const auto other =
      campaign.flips("no.h5", {"--protect", "tmr-selective:by=census:census=" + census("int4")});
  CHECK(other.code == 3);
  CHECK(other.err.find("it is of format int4") != std::string::npos);
  const auto nothing = campaign.flips("no.h5", {"--protect", "tmr-selective:by=census"});
  CHECK(nothing.code == 2);
  CHECK(nothing.err.find("no census file is named") != std::string::npos);
  CHECK(campaign.flips("no.h5", {"--protect", "tmr-selective:census=x.h5"}).code == 2);
}

TEST_CASE("rows, bursts and stuck cells meet protections; nested rates and voltages too") {
  const Protected campaign;
  const auto accepted = [&](const std::string& name, std::vector<std::string> words) {
    words.insert(words.end(), {"--format", "int8", "--trials", "10", "--protect",
                               "none,secded-72-64,tmr,clip", "--memory", "row=4,banks=2,bit-interleave=2"});
    const auto run = campaign.run(name, words);
    INFO(run.err);
    REQUIRE(run.code == 0);
    const ResultFile result(campaign.file(name));
    for (std::int64_t t = 0; t < 10; ++t) {
      const auto flipped = result.trials()[static_cast<std::size_t>(t)].flipped_bits;
      for (std::int64_t p = 1; p < 4; ++p)
        CHECK(result.trials()[static_cast<std::size_t>(10 * p + t)].flipped_bits == flipped);
    }
    return run.out;
  };
  accepted("burst.h5", {"--attack", "burst", "--bursts", "3", "--set", "mode=count"});
  accepted("stuck.h5", {"--attack", "stuck-at", "--rate", "0.01"});
  accepted("nested.h5", {"--attack", "bit-flip", "--ber", "1e-2", "--set", "mode=nested"});
  accepted("search.h5", {"--attack", "progressive-bit-search", "--flips", "3", "--set", "batch=16"});
  const auto searched = run_program({"replay", campaign.file("search.h5"), "--point", "1", "--trial", "4"});
  INFO(searched.err);
  CHECK(searched.code == 0);
  accepted("volts.h5", {"--attack", "bit-flip", "--volts", "0.7", "--voltage", "0.6=1e-2,0.8=1e-4"});
}

TEST_CASE("faults of activations meet clipped activations, and no other protection") {
  const Protected campaign;
  const std::vector<std::string> flips{"--attack", "activation-flip", "--ber", "2e-3", "--trials",
                                       "20",       "--protect"};
  auto words = flips;
  words.emplace_back("none,ranger");
  const auto run = campaign.run("out.h5", words);
  INFO(run.err);
  REQUIRE(run.code == 0);
  const ResultFile result(campaign.file("out.h5"));
  std::int64_t lost[2] = {0, 0}, changed[2] = {0, 0};
  for (std::int64_t t = 0; t < 20; ++t) {
    const auto& plain = result.trials()[static_cast<std::size_t>(t)];
    const auto& clipped = result.trials()[static_cast<std::size_t>(20 + t)];
    CHECK(plain.flipped_bits == clipped.flipped_bits);
    lost[0] += plain.no_prediction;
    lost[1] += clipped.no_prediction;
    changed[0] += plain.changed;
    changed[1] += clipped.changed;
  }
  CHECK(lost[0] + changed[0] > 0);
  CHECK(lost[1] == 0);
  CHECK(lost[1] + changed[1] < lost[0] + changed[0]);
  CHECK(run_program({"replay", campaign.file("out.h5"), "--point", "1", "--trial", "3"}).code == 0);
  for (const char* other : {"secded-72-64", "clip"}) {
    auto refused = flips;
    refused.emplace_back(other);
    CHECK(campaign.run("no.h5", refused).code == 2);
  }
}

TEST_CASE("protections are compared in tables, and the Pareto list keeps the best") {
  const Protected campaign;
  REQUIRE(campaign.flips("out.h5", {"--trials", "40", "--protect", "none,tmr,secded-72-64,clip"}).code == 0);
  const auto table =
      run_program({"export", campaign.file("out.h5"), "--table", "protections", "--format", "csv"});
  CHECK(table.code == 0);
  CHECK(std::count(table.out.begin(), table.out.end(), '\n') == 5);
  CHECK(table.out.find("overhead_percent") != std::string::npos);
  const auto best = run_program({"export", campaign.file("out.h5"), "--table", "pareto", "--format", "csv"});
  CHECK(best.code == 0);
  // No protection costs nothing: it is always on the front.
  CHECK(best.out.find("\nsdc,0,0,bit-flip,int8,all,ber,0.005,") != std::string::npos);
  CHECK(best.out.find("\naccuracy,0,0,bit-flip,int8,all,ber,0.005,") != std::string::npos);
}
