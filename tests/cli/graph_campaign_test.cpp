#include <csignal>
#include <filesystem>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/crash.hpp>
#include <support/program.hpp>
#include <support/residual.hpp>

#include <temblor/base/text.hpp>
#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

constexpr const char* spec = R"(
seed = 5
trials = 4

[memory]
word = 16
row = 4

[[attack]]
name = "weight-pgd"
eps = 0.01
steps = 5

[[attack]]
name = "weight-pgd"
scope = "sample"
eps = [0.001, 0.01]
biases = true
steps = 5
trials = 2

[[attack]]
name = "weight-pgd"
scope = "sample"
ball = "l2"
radius = 0.05
steps = 5
trials = 1

[[attack]]
name = "k-weights"
scope = "sample"
weights = 2
eps = 0.2

[[attack]]
name = "gaussian"
eps = 0.01

[[attack]]
name = "quantization-noise"
bits = 4

[[attack]]
name = "bit-flip"
ber = 0.002
format = ["fp32", "int8-channel"]
protect = ["none", "ranger", "secded-72-64"]

[[attack]]
name = "burst"
length = 3
rate = 0.001
format = "int8"

[[attack]]
name = "memory"
unit = "column"
mode = "count"
failures = 1
format = "int8"

[[attack]]
name = "activation-flip"
ber = 0.001
format = "int8-channel"

[[attack]]
name = "progressive-bit-search"
flips = 3
batch = 20
candidates = 4
format = "int8"
trials = 2

[bounds]
names = ["interval"]
)";

struct GraphBench {
  TemporaryDirectory directory;
  std::string run;

  GraphBench() {
    write_file(file("spec.toml"), spec);
    run = "run " + file("spec.toml") + " --network " + residual_file(directory.path(), 11) + " --dataset " +
          residual_data(40);
  }
  std::string file(const std::string& name) const { return directory.file(name); }
  static std::string expect(int code, const std::string& line) {
    const auto outcome = run_line(line);
    INFO(line << "\n" << outcome.out << outcome.err);
    REQUIRE(outcome.code == code);
    return outcome.out + outcome.err;
  }
};

}  // namespace

TEST_CASE("a campaign on a graph with convolutions: any threads, in full, replayed, checked") {
  const GraphBench bench;
  bench.expect(0, bench.run + " --threads 1 -o " + bench.file("out.h5"));
  bench.expect(0, bench.run + " --threads 3 -o " + bench.file("three.h5"));
  CHECK(digest(bench.file("out.h5")) == digest(bench.file("three.h5")));
  bench.expect(0, bench.run + " --full -o " + bench.file("full.h5"));
  const ResultFile quick(bench.file("out.h5")), full(bench.file("full.h5"));
  REQUIRE(quick.trials().size() == full.trials().size());
  for (std::size_t t = 0; t < quick.trials().size(); ++t) {
    CHECK(quick.trials()[t].changed == full.trials()[t].changed);
    CHECK(quick.trials()[t].correct == full.trials()[t].correct);
    // A few weights of the dense layers that end the network: drops agree up to rounding.
    CHECK(quick.trials()[t].drop_sum == Approx(full.trials()[t].drop_sum).margin(1e-5));
  }
  std::int64_t changed = 0;
  for (const auto& point : quick.points()) {
    INFO(point.index);
    for (const auto* trial : {"0", "1"}) {
      if (point.trials == 1 && trial == std::string("1")) continue;
      bench.expect(0, "replay " + bench.file("out.h5") + " --point " + std::to_string(point.index) +
                          " --trial " + trial);
    }
    for (const auto& trial : quick.trials()) changed += trial.changed;
  }
  CHECK(changed > 0);
  bench.expect(0, "check " + bench.file("out.h5"));
  // The network of one image, its own weights in place.
  bench.expect(
      0, "replay " + bench.file("out.h5") + " --point 1 --trial 0 --sample 3 -o " + bench.file("broken.h5"));
  CHECK(bench.expect(0, "inspect " + bench.file("broken.h5")).find("conv2d") != std::string::npos);
  CHECK_FALSE(bench.expect(0, "export " + bench.file("out.h5") + " --table points --format csv").empty());
}

TEST_CASE("a campaign on a graph with convolutions goes on where a signal stopped it") {
  const GraphBench bench;
  bench.expect(0, bench.run + " --trials 40 -o " + bench.file("whole.h5"));
  const auto output = bench.file("out.h5");
  std::vector<std::string> words;
  for (const auto& word : split(bench.run + " --trials 40 -o " + output, ' ')) words.push_back(word);
  {
    Process process(words, bench.directory.path());
    for (int i = 0; i < 500 && !std::filesystem::exists(output + ".partial"); ++i) sleep_seconds(0.01);
    sleep_seconds(0.05);
    process.signal(SIGINT);
    const int code = process.wait();
    CHECK((code == 130 || code == 0));
  }
  Process again(words, bench.directory.path());
  REQUIRE(again.wait() == 0);
  CHECK(digest(output) == digest(bench.file("whole.h5")));
}

TEST_CASE("what is known of a graph with convolutions before and after a campaign") {
  const GraphBench bench;
  const auto network = residual_file(bench.directory.path(), 11);
  const auto of = " --network " + network + " --dataset " + residual_data(30);
  const auto seen = bench.expect(0, "inspect " + network);
  for (const auto* part : {"60: 13 layers (1 reshape, 3 conv2d, 1 scale", "multiply-adds", "kernel 3 3"})
    CHECK(seen.find(part) != std::string::npos);
  bench.expect(0, "eval" + of);
  bench.expect(0, "quantize" + of + " --format int8-channel -o " + bench.file("q.h5"));
  bench.expect(0, "faults" + of + " --attack bit-flip --ber 1e-2 --format int8 --trials 3 -o " +
                      bench.file("faults.h5"));
  bench.expect(0, "run" + of + " --attack fault-map --set file=" + bench.file("faults.h5") +
                      " --format int8 --trials 2 -o " + bench.file("map.h5"));
  bench.expect(0, "plan " + bench.file("spec.toml") + of);
  bench.expect(0, "study compress" + of +
                      " --formats fp32,int8 --ber 1e-3 --protect none,clip --trials 2 -o " +
                      bench.file("study.h5"));
}
