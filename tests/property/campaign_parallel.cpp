#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>

#include <temblor/campaign/runner.hpp>
#include <temblor/network/file.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("the content of a result file does not depend on the threads") {
  const TemporaryDirectory directory;
  Spec spec;
  spec.network = make_network(directory.path());
  spec.data.set = synthetic_data;
  spec.data.select = "first:60";
  spec.trials = 5;
  spec.attacks = {{.name = "weight-pgd", .severity = {1e-2}, .params = {{"steps", "3"}, {"scope", "sample"}}},
                  {.name = "weight-pgd", .severity = {1e-2}, .params = {{"steps", "3"}}},
                  {.name = "bit-flip",
                   .severity = {1e-3, 1e-2},
                   .layers = {"all", "1"},
                   .format = {"fp32", "int8"},
                   .trials = 130}};
  spec.bounds = {"interval"};
  const auto plan = make_plan(spec);
  std::string first;
  for (const int threads : {1, 2, 4}) {
    const auto output = directory.file("out" + std::to_string(threads) + ".h5");
    RunOptions options;
    options.threads = threads;
    REQUIRE(run_campaign(plan, output, options).state == RunState::finished);
    if (first.empty()) first = digest(output);
    CHECK(digest(output) == first);
  }
}

TEST_CASE(
    "convolutional networks: neither threads, nor memory, nor trials that share a pass tell in a result "
    "file") {
  const TemporaryDirectory directory;
  Network network({{2, 6, 7}}, {});
  const auto random = [](Index rows, Index columns) { return Matrix(Matrix::Random(rows, columns)); };
  const LayerOptions three{{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}};
  network.add(make_layer("conv2d", three), {random(8, 18), random(8, 1)});
  const int from = network.add(make_layer("relu"));
  network.add(make_layer("conv2d", three), {random(8, 72), random(8, 1)});
  network.add(make_layer("relu"));
  const int sum = network.add(make_layer("conv2d", three), {random(8, 72), {}});
  network.add(make_layer("add"), {}, {sum, from});
  network.add(make_layer("relu"));
  network.add(make_layer("global-average-pool"));
  network.add(make_layer("flatten"));
  network.add(make_layer("dense"), {random(3, 8), random(3, 1)});
  Spec spec;
  spec.network = directory.file("conv.h5");
  save_network(network, spec.network);
  spec.data.set = "synthetic:classes=3,shape=2x6x7,n=50";
  spec.attacks = {{.name = "bit-flip",
                   .severity = {1, 2},
                   .format = {"fp32", "int8"},
                   .trials = 150,
                   .params = {{"mode", "count"}}}};
  std::string first;
  for (const int threads : {1, 2, 4}) {
    for (const std::int64_t memory : {std::int64_t{0}, std::int64_t{200'000}, default_activation_memory}) {
      const auto output = directory.file("out" + std::to_string(threads) + std::to_string(memory) + ".h5");
      RunOptions options;
      options.threads = threads;
      options.activation_memory = memory;
      REQUIRE(run_campaign(make_plan(spec), output, options).state == RunState::finished);
      if (first.empty()) first = digest(output);
      CHECK(digest(output) == first);
    }
  }
  spec.full = true;
  run_campaign(make_plan(spec), directory.file("full.h5"), {});
  const ResultFile fast(directory.file("out10.h5"));
  const ResultFile full(directory.file("full.h5"));
  std::int64_t changed = 0;
  for (std::size_t t = 0; t < full.trials().size(); ++t) {
    CHECK(fast.trials()[t].correct == full.trials()[t].correct);
    CHECK(fast.trials()[t].changed == full.trials()[t].changed);
    CHECK(fast.trials()[t].no_prediction == full.trials()[t].no_prediction);
    changed += full.trials()[t].changed;
  }
  CHECK(changed > 0);
}

TEST_CASE("full re-inference gives equal counts, and drops that differ by rounding alone") {
  const TemporaryDirectory directory;
  Spec spec;
  spec.network = make_network(directory.path());
  spec.data.set = synthetic_data;
  spec.trials = 40;
  spec.attacks = {{.name = "bit-flip", .severity = {1e-4, 1e-2}, .format = {"fp32", "int8"}}};
  run_campaign(make_plan(spec), directory.file("fast.h5"), {});
  spec.full = true;
  const auto plan = make_plan(spec);
  run_campaign(plan, directory.file("full.h5"), {});
  const ResultFile fast(directory.file("fast.h5"));
  const ResultFile full(directory.file("full.h5"));
  CHECK(fast.campaign_id() != full.campaign_id());
  for (std::size_t t = 0; t < full.trials().size(); ++t) {
    const auto& a = fast.trials()[t];
    const auto& b = full.trials()[t];
    CHECK(a.correct == b.correct);
    CHECK(a.changed == b.changed);
    CHECK(a.changed_top5 == b.changed_top5);
    CHECK(a.broken == b.broken);
    CHECK(a.fixed == b.fixed);
    CHECK(a.no_prediction == b.no_prediction);
    if (a.drop_max != b.drop_max) CHECK(a.drop_max == Approx(b.drop_max).epsilon(1e-4).margin(1e-4));
  }
}
