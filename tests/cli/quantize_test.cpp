#include <cmath>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <support/networks.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/base/text.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/network/file.hpp>
#include <temblor/perturb/stored.hpp>

using namespace temblor;
using namespace temblor::testing;
using Catch::Contains;
using nlohmann::json;

namespace {

/// A network of random weights and images for it, in files.
struct Files {
  TemporaryDirectory directory{};
  std::string net = directory.file("net.h5");
  std::string data = directory.file("data.csv");
  Network network = random_network("6-5-4-3", 11, true);

  Files() {
    save_network(network, net);
    std::ofstream out(data);
    Stream stream(3, {});
    for (int i = 0; i < 30; ++i) {
      out << i % 3;
      for (int k = 0; k < 6; ++k) out << ',' << stream.below(256);
      out << '\n';
    }
  }
  std::string file(const std::string& name) const { return directory.file(name); }
  temblor::testing::Outcome quantize(const std::string& rest) const {
    return run_line("quantize --network " + net + " " + rest);
  }
};

}  // namespace

TEST_CASE("quantize writes a network of codes and reports size, accuracy and margins") {
  const Files files;
  const auto stored = files.file("int8.h5");
  const auto outcome =
      files.quantize("--format int8-channel --dataset " + files.data + " -o " + stored + " --json");
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto report = json::parse(outcome.out);
  CHECK(report["format"] == "int8-channel");
  CHECK(report["rounding"] == "nearest");
  CHECK(report["before"]["bits"] == 32 * (62 + 12));
  CHECK(report["after"]["codes"] == 8 * 62);
  CHECK(report["after"]["metadata"] == 32 * 12);
  CHECK(report["after"]["biases"] == 32 * 12);
  CHECK(report["layers"].size() == 3);
  CHECK(report["images"] == 30);
  const auto eval = [&](const std::string& net) {
    return json::parse(run_line("eval --network " + net + " --dataset " + files.data + " --json").out);
  };
  CHECK(report["before"]["correct"] == eval(files.net)["correct"]);
  CHECK(report["after"]["correct"] == eval(stored)["correct"]);
  CHECK(report["margins"][0]["after"] == eval(stored)["margins"][0]["margin"]);
  const Network loaded = load_network(stored);
  CHECK(report["id"] == loaded.id());
  CHECK(loaded.codes(0)->codes == quantise(files.network, find_format("int8-channel"), {0}).codes(0)->codes);

  const auto inspected = json::parse(run_line("inspect --json " + stored).out);
  CHECK(inspected["layers"][0]["format"] == "int8-channel");
  CHECK(inspected["layers"][0]["scale"].size() == 5);
  CHECK_THAT(files.quantize("--format int4 --dataset " + files.data + " -o " + files.file("int4.h5")).out,
             Contains("format         int4, rounding nearest") && Contains("after "));
}

TEST_CASE("quantize rounds stochastically from its seed") {
  const Files files;
  const auto once = [&](const std::string& options, const std::string& name) {
    const auto outcome = files.quantize("--format int2 " + options + " -o " + files.file(name));
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return load_network(files.file(name)).id();
  };
  const auto first = once("--rounding stochastic --seed 5", "a.h5");
  CHECK(once("--rounding stochastic --seed 5", "b.h5") == first);
  CHECK(once("--rounding stochastic --seed 6", "c.h5") != first);
  CHECK(once("", "d.h5") != first);
}

TEST_CASE("a stored-code file goes through every command, and its own codes are faulted") {
  const Files files;
  Network network = files.network;
  const Format& format = find_format("int8-affine");
  network = quantise(network, format, {0, 1, 2});
  Encoded codes = *network.codes(0);
  codes.scale[0] *= 1.5F;  // encoding the decoded weights again would not give these codes
  for (auto& code : codes.codes) code = (code + 1) & 0x7f;
  network.set_codes(0, codes);
  const auto net = files.file("stored.h5");
  save_network(network, net);
  const auto out = files.file("out.h5");
  const std::string on = " --network " + net + " --dataset " + files.data;
  const auto ran =
      run_line("run" + on + " --attack bit-flip --set mode=count --flips 1 --layers 0 --format " +
               "int8-affine --trials 20 -o " + out);
  INFO(ran.err);
  REQUIRE(ran.code == 0);
  const auto replayed = run_line("replay " + out + " --point 0 --trial 7 -o " + files.file("broken.h5"));
  INFO(replayed.err);
  CHECK(replayed.code == 0);
  const Network broken = load_network(files.file("broken.h5"));
  int moved = 0;
  for (Index i = 0; i < 30; ++i) {
    const float before = network.weights(0).weight.data()[i];
    const float after = broken.weights(0).weight.data()[i];
    if (before == after) continue;
    ++moved;
    const auto steps = std::abs(after - before) / codes.scale[0];
    CHECK(std::exp2(std::round(std::log2(steps))) ==
          Approx(steps));  // one bit of a code, in the file's scale
  }
  CHECK(moved == 1);
  CHECK(broken.codes(0) == nullptr);
  CHECK(broken.codes(1) != nullptr);

  const auto bounds = files.file("bounds.h5");
  const auto pgd = files.file("pgd.h5");
  CHECK(run_line("run" + on + " --attack weight-pgd --eps 1e-3 --format int8-affine -o " + pgd).code == 0);
  CHECK(run_line("bound" + on + " --bound interval,norm-product --eps 1e-3 --format int8-affine -o " + bounds)
            .code == 0);
  CHECK(run_line("check " + pgd + " " + bounds).code == 0);
}

TEST_CASE("scales and zero points are targets of their own") {
  const Files files;
  const std::string on = "run --network " + files.net + " --dataset " + files.data +
                         " --attack bit-flip --set mode=count --flips 1 --trials 30 --layers 0 ";
  const auto out = files.file("scales.h5");
  REQUIRE(run_line(on + "--set target=scales --format int8-channel -o " + out).code == 0);
  const ResultFile result(out);
  for (const auto& trial : result.trials()) {
    CHECK(trial.flipped_bits == 1);
    CHECK(trial.changed_weights <= 6);
  }
  CHECK(run_line("replay " + out + " --point 0 --trial 3").code == 0);
  CHECK(run_line(on + "--set target=zero-points --format uint8 -o " + files.file("zero.h5")).code == 0);
  const auto refused = [&](const std::string& rest) {
    const auto outcome = run_line(on + rest + " -o " + files.file("no.h5"));
    CHECK(outcome.code == 2);
    return outcome.err;
  };
  CHECK_THAT(refused("--set target=scales --format fp32"), Contains("format fp32 has no scale"));
  CHECK_THAT(refused("--set target=zero-points --format int8"), Contains("format int8 has no zero point"));
  CHECK_THAT(refused("--set target=scales --set field=magnitude --format int8"), Contains("exponent"));
}

TEST_CASE("quantize refuses what it cannot do") {
  const Files files;
  const auto refused = [&](const std::string& rest, int code) {
    const auto outcome = files.quantize(rest);
    CHECK(outcome.code == code);
    return outcome.err;
  };
  const std::string output = " -o " + files.file("q.h5");
  CHECK_THAT(refused("--format int8 --seed 3" + output, 2), Contains("--rounding stochastic"));
  CHECK_THAT(refused("--format int8 --rounding up" + output, 2), Contains("rounding"));
  CHECK_THAT(refused("--format int77" + output, 2), Contains("2 to 16"));
  CHECK_THAT(refused("--format int8 --select first:3" + output, 2), Contains("--dataset"));
  CHECK_THAT(refused("--format int8 -o " + files.net, 2), Contains(files.net));
  Weights weights = files.network.weights(1);
  weights.weight(0, 0) = 5;
  save_network(files.network.with(1, weights), files.net);
  CHECK_THAT(refused("--format q2.5" + output, 3), Contains("-4 to 3.96875"));
}
