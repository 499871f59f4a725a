#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("activation faults: the same campaign on any number of threads, in full, and replayed") {
  const CampaignBench bench;
  const auto campaign =
      "run" + bench.of +
      " --attack activation-flip --ber 1e-4,1e-2 --layers all,0 --format fp32,int8 --trials 12";
  bench.expect(0, campaign + " --threads 1 -o " + bench.file("one.h5"));
  bench.expect(0, campaign + " --threads 4 -o " + bench.file("four.h5"));
  CHECK(digest(bench.file("one.h5")) == digest(bench.file("four.h5")));
  bench.expect(0, campaign + " --full -o " + bench.file("full.h5"));
  const ResultFile quick(bench.file("one.h5")), full(bench.file("full.h5"));
  REQUIRE(quick.trials().size() == 96);
  std::int64_t flips = 0, changed = 0;
  for (std::size_t t = 0; t < 96; ++t) {
    const auto& a = quick.trials()[t];
    const auto& b = full.trials()[t];
    flips += a.flipped_bits;
    changed += a.changed;
    CHECK(a.changed == b.changed);
    CHECK(a.correct == b.correct);
    CHECK(a.no_prediction == b.no_prediction);
    CHECK(a.drop_sum == b.drop_sum);
    CHECK(a.worst_sample == b.worst_sample);
    CHECK(a.changed_weights == 0);
  }
  CHECK(flips > 0);
  CHECK(changed > 0);
  REQUIRE(quick.points().size() == 8);
  CHECK(quick.points()[1].format == "int8 activations all");
  CHECK(quick.points()[3].format == "int8 activations 0");
  for (const auto& point : quick.points()) {
    CHECK(point.per_sample);
    bench.expect(0, "replay " + bench.file("one.h5") + " --trial 5 --point " + std::to_string(point.index));
  }
  CHECK_THAT(
      bench.expect(2, "replay " + bench.file("one.h5") + " --trial 5 --point 7 -o " + bench.file("x.h5")),
      Catch::Contains("activations are faulty"));
}

TEST_CASE("activation faults: the fault-free run is the network that holds activations in the format") {
  const CampaignBench bench;
  const auto campaign =
      "run" + bench.of + " --attack activation-flip --ber 0 --format fp32,int4 --trials 1 -o ";
  bench.expect(0, campaign + bench.file("out.h5"));
  bench.expect(0, "run" + bench.of + " --attack bit-flip --ber 0 --format fp32,int4 --trials 1 -o " +
                      bench.file("weights.h5"));
  const ResultFile held(bench.file("out.h5")), weights(bench.file("weights.h5"));
  const auto logits_of = [](const ResultFile& file, std::int64_t point) {
    return file.golden_logits(file.points()[static_cast<std::size_t>(point)].format_index);
  };
  CHECK(logits_of(held, 0) == logits_of(weights, 0));
  CHECK(logits_of(held, 1) != logits_of(weights, 1));
  for (const auto& trial : held.trials()) {
    CHECK(trial.flipped_bits == 0);
    CHECK(trial.changed == 0);
    CHECK(trial.drop_max == 0);
  }
}

TEST_CASE(
    "activation faults: bounds and protections do not cover them, and say so; bad requests are refused") {
  const CampaignBench bench;
  const auto attack = "run" + bench.of + " --attack activation-flip";
  using Catch::Contains;
  for (const auto* bound : {"interval", "norm-product", "linear"}) {
    const auto words = bench.expect(0, attack + " --ber 1e-3 --format int8 --bound " + bound + " -o " +
                                           bench.file(std::string(bound) + ".h5"));
    CHECK_THAT(words, Contains("does not cover bits") && Contains("activations"));
  }
  const auto out = " -o " + bench.file("out.h5");
  CHECK_THAT(bench.expect(2, attack + " --flips 999999" + out), Contains("an image has"));
  CHECK_THAT(bench.expect(2, attack + " --ber 1e-3 --set field=exponent --format int8" + out),
             Contains("has no such field"));
  CHECK_THAT(bench.expect(2, attack + " --ber 1e-3 --protect secded-72-64 --format int8" + out),
             Contains("activation-flip"));
  CHECK_THAT(bench.expect(2, "faults" + bench.of + " --attack activation-flip --ber 1e-2" + out),
             Contains("not in the codes of weights"));
}
