#include <cmath>

#include <catch2/catch.hpp>
#include <support/census.hpp>
#include <support/evaluate.hpp>

#include <temblor/base/error.hpp>
#include <temblor/evaluate/census.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Network scaled(const Network& network, int layer, float factor) {
  Weights weights = network.weights(layer);
  weights.weight *= factor;
  return network.with(layer, std::move(weights));
}

}  // namespace

TEST_CASE("census: every bit of every weight in every format, beside full inference") {
  Maker maker(51);
  const std::string archs[] = {"5-4-3", "4-6-5-4", "3-4", "4-5-4-3-5", "5-3-2"};
  CensusSeen seen;
  for (const Format& format : format_table()) {
    for (int round = 0; round < 10; ++round) {
      const bool whole = round % 3 == 0;
      const Network network = maker.network(archs[round % 5], "relu", maker.below(2) == 0, whole);
      check_census(network,
                   maker.data(20 + maker.below(60), network.input().size(), network.classes(), 0.4, whole),
                   format, seen);
    }
  }
  CHECK(seen.changed > seen.faults);
  CHECK(seen.fixed > 1000);
  CHECK(seen.no_prediction > 1000);
  CHECK(seen.infinite > 10);
  CHECK(seen.inferred > 1000);
}

TEST_CASE("census: inputs that are not negative, more images than a chunk, dead units, inputs always 0") {
  Maker maker(52);
  CensusSeen seen;
  for (int round = 0; round < 8; ++round) {
    Network network = maker.network("6-7-6-4", "relu", true);
    Weights first = network.weights(0);
    first.bias[2] = -20;  // dead for every image
    first.weight.row(3).setConstant(-0.5F);
    network = network.with(0, first);
    Dataset data = maker.data(150, 6, 4, 0.3);
    data.images = data.images.cwiseAbs();
    data.images.col(1).setZero();
    check_census(network, data, find_format(round % 2 == 0 ? "fp32" : "int8-channel"), seen);
  }
  CHECK(seen.changed > 1000);
}

TEST_CASE("census: large and tiny weights, overflow above the fault and in its own sum") {
  Maker maker(53);
  CensusSeen seen;
  for (int round = 0; round < 30; ++round) {
    Network network = maker.network(round % 2 == 0 ? "4-5-4-3" : "3-4-3", "relu", round % 3 == 0);
    const float factors[] = {1e-3F, 4.0F, 1e8F, 3e-20F, 64.0F, 1e-38F};
    network = scaled(network, static_cast<int>(maker.below(network.layers())), factors[round % 6]);
    check_census(network, maker.data(40, network.input().size(), network.classes(), 0.3),
                 find_format(round % 3 == 1 ? "bf16" : "fp32"), seen);
  }
  CHECK(seen.no_prediction > 1000);
}

TEST_CASE("census: ties made on purpose") {
  Maker maker(54);
  CensusSeen seen;
  for (int round = 0; round < 12; ++round) {
    Network network = maker.network("4-5-5", "relu", false);
    Weights last = network.weights(1);
    for (Index i = 1; i < 5; ++i) last.weight.row(i) = last.weight.row(0);
    if (round % 2 == 0) last.weight(3, 2) = std::nextafter(last.weight(3, 2), 2.0F);
    network = network.with(1, last);
    check_census(network, maker.data(40, 4, 5, 0.3), find_format("fp32"), seen);
  }
  CHECK(seen.inferred > 1000);
}

TEST_CASE("census: weights that make everything above die, and exact zeros") {
  Maker maker(55);
  CensusSeen seen;
  for (int round = 0; round < 10; ++round) {
    Network network = maker.network("3-4-4-3", "relu", round % 2 == 0);
    Weights second = network.weights(1);
    second.weight.col(1) = -second.weight.col(1).cwiseAbs();
    second.weight.col(2).setZero();
    second.weight(0, 0) = 0;
    network = network.with(1, second);
    check_census(network, maker.data(40, 3, 3, 0.3), find_format(round % 3 == 0 ? "fp16" : "fp32"), seen);
  }
  CHECK(seen.changed > 100);
}

TEST_CASE("census: other networks are inferred fault by fault") {
  Maker maker(56);
  CensusSeen seen;
  check_census(maker.network("3-4-3", "tanh", true), maker.data(30, 3, 3, 0.3), find_format("int8"), seen,
               false);
  check_census(maker.network("3-4-3", "sigmoid", false), maker.data(30, 3, 3, 0.3), find_format("fp16"), seen,
               false);
  CHECK(seen.changed > 10);
}

TEST_CASE("census: chosen layers and bits are those of the whole census") {
  Maker maker(67);
  const Network network = maker.network("4-6-5-3", "relu", true);
  const Dataset data = maker.data(70, 4, 3, 0.4);
  const StoredNetwork stored = store(network, find_format("fp32"));
  const Evaluator evaluator(stored.network, data);
  const Census whole = take_census(stored, data, evaluator, every_fault(stored));
  CensusRequest request;
  request.layers = {1};
  request.bits = {3, 30, 31};
  const Census part = take_census(stored, data, evaluator, request);
  REQUIRE(part.layers.size() == 1);
  CHECK(part.layers[0].layer == 1);
  std::int64_t changed = 0;
  for (std::size_t f = 0; f < part.layers[0].faults(); ++f) {
    const std::size_t of = f / 3 * 32 + static_cast<std::size_t>(request.bits[f % 3]);
    REQUIRE(part.layers[0].changed[f] == whole.layers[1].changed[of]);
    REQUIRE(part.layers[0].broken[f] == whole.layers[1].broken[of]);
    REQUIRE(part.layers[0].no_prediction[f] == whole.layers[1].no_prediction[of]);
    changed += part.layers[0].changed[f];
  }
  CHECK(changed > 0);
}

TEST_CASE("census: a stop is an interrupted error") {
  Maker maker(58);
  const Network network = maker.network("4-6-5-3", "relu", true);
  const Dataset data = maker.data(70, 4, 3, 0.4);
  const StoredNetwork stored = store(network, find_format("int8"));
  const Evaluator evaluator(stored.network, data);
  for (const bool trace : {true, false}) {
    CensusRequest request = every_fault(stored);
    request.trace = trace;
    request.progress = [](double) { return false; };
    try {
      take_census(stored, data, evaluator, request);
      FAIL("it went on");
    } catch (const Error& error) {
      CHECK(error.code() == Exit::interrupted);
    }
  }
}
