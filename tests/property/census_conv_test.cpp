#include <algorithm>

#include <catch2/catch.hpp>
#include <support/build.hpp>
#include <support/census.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

Network residual(Maker& maker, bool whole) {
  NetworkBuilder build{maker, Network({{2, 4, 4}}, {}), whole};
  build.conv(4, 3, 1);
  const int side = build.add("relu");
  build.conv(4, 3, 1, 1, 2);
  build.add("relu");
  const int inner = build.conv(4, 3, 1);
  build.add("add", {}, {inner, side});
  build.add("relu");
  build.add("global-average-pool");
  build.add("flatten");
  build.dense(4);
  return build.network;
}

Network odd(Maker& maker) {
  NetworkBuilder build{maker, Network({{2, 5, 5}}, {})};
  build.conv(4, 2, 1, 2);
  build.add("tanh");
  build.weighted("scale", {}, 4, 1);
  build.conv(4, 2, 0, 1, 4);
  build.add("leaky-relu");
  build.add("average-pool", {{"kernel", {2, 2}}});
  build.add("flatten");
  build.dense(3);
  build.add("sigmoid");
  build.dense(3);
  return build.network;
}

}  // namespace

TEST_CASE("census of convolutions: every bit of every weight, beside full inference") {
  Maker maker(81);
  CensusSeen seen;
  for (int round = 0; round < 4; ++round) {
    const bool whole = round == 3;
    const Format& format = find_format(round == 1 ? "int8" : round == 2 ? "fp16" : "fp32");
    check_census(pooled_network(maker, whole), maker.data(20, 72, 3, 0.3, whole), format, seen);
    check_census(residual(maker, whole), maker.data(20, 32, 4, 0.3, whole), format, seen);
  }
  CHECK(seen.changed > 5000);
  CHECK(seen.fixed > 1000);
  CHECK(seen.no_prediction > 1000);
  CHECK(seen.infinite > 10);
}

TEST_CASE("census of convolutions: blocks of images give the same") {
  Maker maker(82);
  CensusSeen seen;
  check_census(pooled_network(maker, false), maker.data(30, 72, 3, 0.3), find_format("int8"), seen, true, 8);
  check_census(residual(maker, false), maker.data(21, 32, 4, 0.3), find_format("bf16"), seen, true, 16);
  CHECK(seen.changed > 1000);
}

TEST_CASE("census of convolutions: other layers are inferred fault by fault") {
  Maker maker(83);
  CensusSeen seen;
  check_census(odd(maker), maker.data(20, 50, 3, 0.3), find_format("fp32"), seen, false);
  check_census(odd(maker), maker.data(20, 50, 3, 0.3), find_format("int8"), seen, false);
  CHECK(seen.changed > 100);
}

TEST_CASE("census of convolutions: bounds decide nearly all little changes below the dense end") {
  Maker maker(84);
  const Network network = pooled_network(maker, false);
  const Dataset data = maker.data(100, 72, 3, 0.3);
  const StoredNetwork stored = store(network, find_format("fp32"));
  const Evaluator evaluator(stored.network, data);
  CensusRequest request;
  request.layers = {1};
  for (int bit = 0; bit < 16; ++bit) request.bits.push_back(bit);
  const Census census = take_census(stored, data, evaluator, request);
  REQUIRE(census.layers[0].method == CensusMethod::channels);
  const auto faults = static_cast<std::int64_t>(census.layers[0].faults());
  CHECK(10 * census.inferred < faults * data.size());
  CHECK(std::count(census.layers[0].worst_image.begin(), census.layers[0].worst_image.end(), -1) <
        faults / 10);
}
