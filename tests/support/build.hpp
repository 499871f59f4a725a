#pragma once

#include <string>
#include <utility>
#include <vector>

#include <support/evaluate.hpp>

#include <temblor/network/network.hpp>

namespace temblor::testing {

/// Adds nodes with random weights.
struct NetworkBuilder {
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

/// Two convolutions with maximum pools, then dense layers, on images 2x6x6, 3 classes. `whole`: weights are
/// small whole numbers.
inline Network pooled_network(Maker& maker, bool whole) {
  NetworkBuilder build{maker, Network({{2, 6, 6}}, {}), whole};
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

}  // namespace temblor::testing
