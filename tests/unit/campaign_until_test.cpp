#include <algorithm>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>

#include <temblor/campaign/fold.hpp>
#include <temblor/campaign/replay.hpp>
#include <temblor/campaign/runner.hpp>
#include <temblor/campaign/stops.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Spec flips(const TemporaryDirectory& directory, const std::string& until) {
  Spec spec;
  spec.network = make_network(directory.path());
  spec.data.set = synthetic_data;
  spec.data.select = "first:50";
  spec.trials = 1280;  // 64 blocks of 20
  spec.until = until;
  spec.attacks = {{.name = "bit-flip", .severity = {1e-3, 1e-2}, .format = {"fp32", "int8"}}};
  return spec;
}

/// The first multiple of `block` trials that satisfies the criterion, from the trials of a whole campaign.
std::int64_t expected_trials(const ResultFile& whole, const PointRow& point, const Until& until,
                             std::int64_t block) {
  const auto& term = until.terms.front();
  RateTally tally(*term.rate, whole.samples());
  for (std::int64_t t = 0; t < point.trials; ++t) {
    tally.add(whole.trials()[static_cast<std::size_t>(point.first_trial + t)]);
    if ((t + 1) % block != 0 || tally.trials() < term.least_trials()) continue;
    if (tally.estimate(IntervalMethod::wilson, term.confidence).half_width() < term.width) return t + 1;
  }
  return point.trials;
}

}  // namespace

TEST_CASE(
    "until: a point ends with the first block that satisfies it, its trials those of the whole campaign") {
  const TemporaryDirectory directory;
  const std::string text = "ci(sdc) < 0.8%";
  run_campaign(make_plan(flips(directory, "")), directory.file("whole.h5"), {});
  const auto plan = make_plan(flips(directory, text));
  run_campaign(plan, directory.file("short.h5"), {});
  const ResultFile whole(directory.file("whole.h5"));
  const ResultFile stopped(directory.file("short.h5"));
  CHECK(whole.campaign_id() != stopped.campaign_id());
  std::int64_t row = 0;
  std::int64_t early = 0;
  for (const auto& point : stopped.points()) {
    const auto& all = whole.points()[static_cast<std::size_t>(point.index)];
    CHECK(point.trials == expected_trials(whole, all, Until::parse(text, "until"), 20));
    CHECK(point.trials_most == 1280);
    CHECK(point.first_trial == row);
    row += point.trials;
    early += point.trials < point.trials_most ? 1 : 0;
    for (std::int64_t t = 0; t < point.trials; ++t) {
      CHECK(same_trial(stopped.trials()[static_cast<std::size_t>(point.first_trial + t)],
                       whole.trials()[static_cast<std::size_t>(all.first_trial + t)]));
    }
    const auto worst = stopped.margins(point.index).worst_trial;
    CHECK(*std::max_element(worst.begin(), worst.end()) < point.trials);
  }
  CHECK(static_cast<std::int64_t>(stopped.trials().size()) == row);
  CHECK(early > 0);
  CHECK(early < 4);  // otherwise one of both ends was not tested
}

TEST_CASE("until: the same bytes for any threads, and for blocks that came in any order") {
  const TemporaryDirectory directory;
  const auto plan = make_plan(flips(directory, "ci(sdc) < 2% and ci(any_change) < 3%"));
  std::string first;
  for (const int threads : {1, 2, 5}) {
    const auto output = directory.file("out" + std::to_string(threads) + ".h5");
    RunOptions options;
    options.threads = threads;
    REQUIRE(run_campaign(plan, output, options).state == RunState::finished);
    if (first.empty()) first = digest(output);
    CHECK(digest(output) == first);
  }
  // A partial file with all blocks, written backward: what lies beyond the stop is left out.
  const auto path = directory.file("all.h5");
  {
    auto partial = PartialFile::create(path + ".partial", plan);
    for (std::size_t b = plan.blocks.size(); b-- > 0;) {
      const auto& block = plan.blocks[b];
      const auto& point = plan.points[block.point];
      const auto attack = make_attack(*point.attack, plan.context(point));
      const auto protection = plan.protection(point);
      const Evaluator evaluator(plan.bases[point.base].network, plan.data);
      Evaluator::Scratch scratch(evaluator);
      TrialSamples samples;
      BlockResult result;
      result.margins = empty_margins(static_cast<std::size_t>(plan.data.size()));
      for (std::int64_t t = block.first; t < block.first + block.count; ++t) {
        const auto run = run_trial(plan, block.point, t, *attack, *protection, evaluator, scratch, samples);
        result.trials.push_back(run.row);
        fold_trial(samples, t, result.margins);
      }
      partial.write(b, result);
    }
    const Stops stops(plan, partial);
    CHECK(stops.complete());
    partial.close();
  }
  REQUIRE(run_campaign(plan, path, {}).state == RunState::finished);
  CHECK(digest(path) == first);
}

TEST_CASE("until: the spec keeps it, and it is part of what a campaign is") {
  const TemporaryDirectory directory;
  auto spec = flips(directory, "ci(sdc, 0.95) < 0.02");
  CHECK(parse_spec(to_toml(spec), "again.toml", "").until == spec.until);
  const auto plan = make_plan(spec);
  CHECK(plan.identity.find("until ci(sdc, 0.95) < 0.02\n") != std::string::npos);
  CHECK(parse_spec("until = \"ci(sdc)<2%\"", "a.toml", "").until == spec.until);
  CHECK_THROWS_WITH(parse_spec("trials = 3\nuntil = \"sdc < 2%\"", "a.toml", ""),
                    Catch::StartsWith("a.toml:2: until"));
  Overrides overrides;
  overrides.until = "ci(accuracy) < 1%";
  apply(overrides, spec);
  CHECK(spec.until == "ci(accuracy, 0.95) < 0.01");
}
