#include <cmath>

#include <catch2/catch.hpp>
#include <support/census.hpp>
#include <support/evaluate.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Adds nodes with random weights.
struct Builder {
  Maker& maker;
  Network network;
  bool whole = false;

  Shape shape() const { return network.nodes().empty() ? network.input() : network.nodes().back().shape; }
  int add(const std::string& kind, const LayerOptions& options = {}, std::vector<int> inputs = {}) {
    return network.add(make_layer(kind, options), {}, std::move(inputs));
  }
  int weighted(const std::string& kind, const LayerOptions& options, Index rows, Index depth,
               std::vector<int> inputs = {}) {
    Weights weights{whole ? maker.whole(rows, depth) : maker.matrix(rows, depth), Vector()};
    if (maker.below(3) > 0) weights.bias = 0.3F * maker.matrix(rows, 1);
    return network.add(make_layer(kind, options), std::move(weights), std::move(inputs));
  }
  int conv(Index channels, Index kernel, double padding, double stride = 1, double groups = 1,
           std::vector<int> inputs = {}) {
    const Shape from = inputs.empty() ? shape() : network.nodes()[static_cast<std::size_t>(inputs[0])].shape;
    const auto size = static_cast<double>(kernel);
    return weighted("conv2d",
                    {{"kernel", {size, size}},
                     {"padding", {padding, padding, padding, padding}},
                     {"stride", {stride, stride}},
                     {"groups", {groups}}},
                    channels, from.dims[0] / static_cast<Index>(groups) * kernel * kernel, std::move(inputs));
  }
  int dense(Index units) { return weighted("dense", {}, units, shape().size()); }
};

Network lenet_like(Maker& maker, bool whole) {
  Builder build{maker, Network({{2, 6, 6}}, {}), whole};
  build.conv(3, 3, 1);
  build.add("relu");
  build.add("max-pool", {{"kernel", {2, 2}}, {"stride", {2, 2}}});
  build.conv(4, 2, 0);
  build.add("relu");
  build.add("max-pool", {{"kernel", {2, 2}}, {"stride", {1, 1}}});
  build.add("flatten");
  build.dense(6);
  build.add("relu");
  build.dense(5);
  build.add("relu");
  build.dense(3);
  return build.network;
}

Network residual(Maker& maker, bool whole) {
  Builder build{maker, Network({{2, 4, 4}}, {}), whole};
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
  Builder build{maker, Network({{2, 5, 5}}, {})};
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
    check_census(lenet_like(maker, whole), maker.data(20, 72, 3, 0.3, whole), format, seen);
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
  check_census(lenet_like(maker, false), maker.data(30, 72, 3, 0.3), find_format("int8"), seen, true, 8);
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
