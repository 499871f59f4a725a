#include "builder.hpp"

#include <algorithm>

#include <temblor/base/error.hpp>

namespace temblor {

/// The form in use today: every plane of the second convolution sees all planes of the first, pooling takes
/// the maximum, and the last layer is linear. 61,706 parameters for 1 x 28 x 28 and ten classes.
Network make_lenet5(const NetworkOrder& order) {
  ArchitectureBuilder build(order, "lenet5");
  const Index side = std::min(order.input.dims[1], order.input.dims[2]);
  if (side < 12) {
    usage_error("architecture 'lenet5'", "images of " + order.input.text() + " are too small for it",
                "give it 12 rows and columns or more");
  }
  const LayerOptions half = {{"kernel", {2, 2}}, {"stride", {2, 2}}};
  build.conv("conv1", 6, 5, 1, side < 32 ? 2 : 0);
  build.activation("act1");
  build.add("pool1", "max-pool", half);
  build.conv("conv2", 16, 5, 1, 0);
  build.activation("act2");
  build.add("pool2", "max-pool", half);
  build.add("flat", "flatten");
  build.dense("fc1", 120);
  build.activation("act3");
  build.dense("fc2", 84);
  build.activation("act4");
  build.dense("fc3", order.classes);
  return std::move(build).network();
}

}  // namespace temblor
