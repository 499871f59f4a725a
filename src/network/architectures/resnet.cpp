#include "builder.hpp"

namespace temblor {
namespace {

/// Two 3x3 convolutions and a shortcut without parameters: where the block halves the image, every second row
/// and column, and zeros as the new channels (option A of the paper).
void add_block(ArchitectureBuilder& build, const std::string& name, Index channels, Index stride) {
  const int from = build.last();
  const Shape before = build.shape();
  build.conv(name + ".conv1", channels, 3, stride, 1);
  build.activation(name + ".act1");
  const int branch = build.conv(name + ".conv2", channels, 3, 1, 1);
  int shortcut = from;
  if (stride != 1) {
    const Shape after = build.shape();
    const auto step = static_cast<double>(stride);
    const auto planes = static_cast<double>(before.dims[0]);
    const auto rows = static_cast<double>(after.dims[1]);
    const auto columns = static_cast<double>(after.dims[2]);
    build.add(name + ".thin", "slice",
              {{"start", {0, 0, 0}}, {"count", {planes, rows, columns}}, {"step", {1, step, step}}}, {from});
    const Index more = after.dims[0] - before.dims[0];
    shortcut = build.add(name + ".widen", "pad",
                         {{"before", {static_cast<double>(more / 2), 0, 0}},
                          {"after", {static_cast<double>(more - more / 2), 0, 0}}});
  }
  build.add(name + ".add", "add", {}, {branch, shortcut});
  build.activation(name + ".act2");
}

/// 6 n + 2 layers: a convolution, three stages of n blocks with 16, 32 and 64 channels, and a dense layer
/// behind the mean of each channel.
Network resnet(const NetworkOrder& order, const std::string& name, int n) {
  ArchitectureBuilder build(order, name);
  build.conv("conv0", 16, 3, 1, 1);
  build.activation("act0");
  for (int stage = 0; stage < 3; ++stage) {
    for (int block = 0; block < n; ++block) {
      add_block(build, "stage" + std::to_string(stage + 1) + "." + std::to_string(block + 1),
                Index{16} << stage, stage > 0 && block == 0 ? 2 : 1);
    }
  }
  build.add("mean", "global-average-pool");
  build.add("flat", "flatten");
  build.dense("fc", order.classes);
  return std::move(build).network();
}

}  // namespace

Network make_resnet8(const NetworkOrder& order) {
  return resnet(order, "resnet8", 1);
}

Network make_resnet20(const NetworkOrder& order) {
  return resnet(order, "resnet20", 3);
}

}  // namespace temblor
