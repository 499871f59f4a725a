#include <catch2/catch.hpp>
#include <support/bit_search.hpp>
#include <support/networks.hpp>

#include <temblor/base/text.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("bit search: it stops at an accuracy, at a number of flips, and where nothing raises the loss") {
  const auto bench = trained_bench("int8");
  const auto log = bench.log(60, {{"stop-accuracy", "0.3"}, {"batch", "160"}});
  CHECK(log.stop == "accuracy");
  REQUIRE(log.steps.size() >= 2);
  CHECK(log.images == 160);
  CHECK(log.clean.correct == 160);
  CHECK(log.steps.back().effect.correct <= 48);
  CHECK(log.steps[log.steps.size() - 2].effect.correct > 48);
  CHECK(bench.log(1, {{"stop-accuracy", "0.3"}}).stop == "flips");
  CHECK(bench.log(5, {{"stop-accuracy", "1"}}).steps.empty());

  const SearchBench small(random_network("2-2", 1, false), 3, "int2");
  const auto stuck = small.log(8, {{"candidates", "100"}});
  CHECK(stuck.stop == "stuck");
  CHECK(stuck.steps.size() < 8);
}

TEST_CASE("bit search: a limit on the loss leaves images alone that are past it, and harms more of them") {
  const auto bench = trained_bench("int8");
  const auto right = [&](const std::string& cap) {
    const auto log = bench.log(6, {{"cap", cap}, {"batch", "160"}});
    if (cap != "0") CHECK(log.steps.back().effect.loss <= parse_real(cap, "cap"));
    return log.steps.back().effect.correct;
  };
  CHECK(right("3") < right("0"));
}

TEST_CASE("bit search: on a trained network it does far more harm than as many random flips") {
  const auto bench = trained_bench("int8");
  const auto adversarial = bench.attack(4, {{"batch", "64"}})->perturb(Stream(1, {}));
  const auto harmed = loss_of(bench.broken(adversarial), bench.data);
  const auto& entry = find_attack("bit-flip");
  const auto random = make_attack(entry, {bench.stored.network,
                                          bench.data,
                                          *bench.stored.format,
                                          {0, 1},
                                          4,
                                          Params("attack 'bit-flip'", entry.params, {{"mode", "count"}}),
                                          &bench.stored});
  for (std::uint32_t trial = 0; trial < 20; ++trial) {
    const auto loss = loss_of(bench.broken(random->perturb(Stream(1, {0, trial, 0}))), bench.data);
    CHECK(harmed.correct < loss.correct);
  }
  CHECK(harmed.correct <= 120);
}

TEST_CASE("bit search: images of one class go to another, and one image alone") {
  for (const auto* format : {"int8", "fp16", "fp8-e5m2"}) {
    CAPTURE(format);
    const auto bench = trained_bench(format);
    const SearchBench::Given given{
        {"objective", "class"}, {"source", "1"}, {"target", "2"}, {"batch", "160"}};
    const auto attack = bench.attack(60, given);
    const auto moved = attack->search(Stream(1, {}));
    CHECK(moved.stop == "success");
    CHECK(moved.attacked == 40);
    CHECK(moved.images == 120);
    const auto network = bench.broken(attack->perturb(Stream(1, {})));
    CHECK(predicted_as(network, bench.data, 1, 2) == 40);
    std::int64_t kept = 0;
    for (const int label : {0, 2, 3}) kept += predicted_as(network, bench.data, label, label);
    CHECK(kept == moved.steps.back().effect.correct);
    CHECK(kept > 80);

    for (const Index image : {5, 10}) {
      const auto label = bench.data.labels[static_cast<std::size_t>(image)];
      const auto target = (label + 1) % 4;
      const auto search = bench.attack(60, {{"objective", "image"},
                                            {"image", std::to_string(image)},
                                            {"target", std::to_string(target)},
                                            {"margin", "0.5"},
                                            {"batch", "159"}});
      const auto one = search->search(Stream(1, {}));
      CHECK(one.stop == "success");
      CHECK(one.attacked == 1);
      const auto changed = bench.broken(search->perturb(Stream(1, {})));
      const Matrix values = logits(changed, changed.view(), bench.data.images.row(image));
      for (Index j = 0; j < 4; ++j) {
        if (j != target) CHECK(values(0, target) >= values(0, j) + 0.4999F);
      }
    }
  }
}

TEST_CASE("bit search: images that are to be kept are kept better, the more they weigh") {
  const SearchBench bench(random_network("10-8-6-4", 2, true), 300, "int8");
  const auto kept = [&](const std::string& weight) {
    const auto log = bench.log(30, {{"objective", "class"},
                                    {"labels", "predicted"},
                                    {"source", "0"},
                                    {"target", "3"},
                                    {"keep", weight},
                                    {"stop-success", "0.8"}});
    CHECK(log.clean.correct == log.images);
    return static_cast<double>(log.steps.back().effect.correct) / static_cast<double>(log.images);
  };
  CHECK(kept("10") > kept("0") + 0.1);
}
