#include <cmath>

#include <support/residual.hpp>

#include <temblor/network/file.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {

Network residual_network(std::uint64_t seed) {
  Stream stream(seed, {});
  const auto weights = [&](Index rows, Index cols, bool bias) {
    Weights drawn{Matrix(rows, cols), Vector(bias ? rows : 0)};
    const double scale = 1.5 / std::sqrt(static_cast<double>(cols));
    for (Index i = 0; i < drawn.weight.size(); ++i)
      drawn.weight.data()[i] = static_cast<float>(scale * stream.normal());
    for (Index i = 0; i < drawn.bias.size(); ++i) drawn.bias[i] = static_cast<float>(0.1 * stream.normal());
    return drawn;
  };
  const LayerOptions same = {{"kernel", {3, 3}}, {"padding", {1, 1, 1, 1}}};
  Network network({{60}}, {});
  network.add(make_layer("reshape", {{"shape", {2, 6, 5}}}));                  // 0
  network.add(make_layer("conv2d", same), weights(4, 18, true), {}, "entry");  // 1
  network.add(make_layer("scale"), weights(4, 1, true), {}, "norm");
  const int trunk = network.add(make_layer("relu"));
  network.add(make_layer("conv2d", same), weights(4, 36, true), {}, "block");
  const int branch = network.add(make_layer("relu"));
  network.add(make_layer("add"), {}, {trunk, branch});
  network.add(make_layer("max-pool", {{"kernel", {2, 2}}}));
  network.add(make_layer("conv2d", {{"kernel", {2, 2}}, {"stride", {2, 1}}, {"groups", {2}}}),
              weights(6, 8, false), {}, "groups");
  network.add(make_layer("leaky-relu"));
  network.add(make_layer("global-average-pool"));
  network.add(make_layer("flatten"));
  network.add(make_layer("dense"), weights(4, 6, true), {}, "out");
  return network;
}

std::string residual_file(const std::string& directory, std::uint64_t seed) {
  const std::string path = directory + "/residual.h5";
  save_network(residual_network(seed), path);
  return path;
}

std::string residual_data(int images) {
  return "synthetic:classes=4,features=60,n=" + std::to_string(images) + ",seed=3";
}

}  // namespace temblor::testing
