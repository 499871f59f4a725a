#include "window.hpp"

#include <algorithm>

namespace temblor::onnx_io {
namespace {

constexpr std::int64_t most = std::int64_t{1} << 24;

Dims numbers(const Builder& builder, const Node& node, const std::string& name, const Dims& initial,
             std::int64_t least) {
  const Dims values = integers(node, name, initial);
  if (values.size() != initial.size()) {
    builder.refuse(node, name + " has " + std::to_string(values.size()) + " values",
                   "windows slide over rows and columns of pictures: " + std::to_string(initial.size()));
  }
  for (const auto value : values) {
    if (value < least || value > most)
      builder.refuse(node, "a value of " + name + " is " + std::to_string(value), "export the model again");
  }
  return values;
}

}  // namespace

LayerOptions window_options(const Builder& builder, const Node& node, const Dims& kernel, const Dims& dims) {
  const Dims stride = numbers(builder, node, "strides", {1, 1}, 1);
  const Dims dilation = numbers(builder, node, "dilations", {1, 1}, 1);
  Dims padding = numbers(builder, node, "pads", {0, 0, 0, 0}, 0);
  const std::string automatic = text(node, "auto_pad", "NOTSET");
  const bool upper = automatic == "SAME_UPPER";
  const bool same = upper || automatic == "SAME_LOWER";
  if (!same && automatic != "NOTSET" && automatic != "VALID")
    builder.refuse(node, "auto_pad is '" + automatic + "'", "use NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  if (automatic == "VALID") padding = {0, 0, 0, 0};
  for (std::size_t d = 0; d < 2; ++d) {
    if (kernel[d] < 1 || kernel[d] > most)
      builder.refuse(node, "its window is " + sizes_text(kernel), "export the model again");
    const std::int64_t size = dims[d + 1];
    const std::int64_t span = dilation[d] * (kernel[d] - 1) + 1;
    if (same) {
      const std::int64_t places = (size - 1) / stride[d] + 1;
      const std::int64_t all = std::max<std::int64_t>((places - 1) * stride[d] + span - size, 0);
      padding[d] = upper ? all / 2 : all - all / 2;
      padding[d + 2] = all - padding[d];
    }
    if (integer(node, "ceil_mode", 0) == 0) continue;
    const std::int64_t padded = size + padding[d] + padding[d + 2];
    if (padded < span) continue;
    std::int64_t places = (padded - span + stride[d] - 1) / stride[d] + 1;
    // No window starts behind the picture: it would see padding alone.
    if ((places - 1) * stride[d] >= size + padding[d]) --places;
    padding[d + 2] += std::max<std::int64_t>((places - 1) * stride[d] + span - padded, 0);
  }
  const auto reals = [](const Dims& values) { return std::vector<double>(values.begin(), values.end()); };
  return {{"kernel", reals(kernel)},
          {"stride", reals(stride)},
          {"dilation", reals(dilation)},
          {"padding", reals(padding)}};
}

bool sticks_out(const Node& node, const LayerOptions& options) {
  if (integer(node, "ceil_mode", 0) == 0 || text(node, "auto_pad", "NOTSET").starts_with("SAME"))
    return false;
  const Dims plain = integers(node, "pads", {0, 0, 0, 0});
  const bool valid = text(node, "auto_pad", "NOTSET") == "VALID";
  const auto& padding = options.at("padding");
  return padding[2] != static_cast<double>(valid ? 0 : plain[2]) ||
         padding[3] != static_cast<double>(valid ? 0 : plain[3]);
}

}  // namespace temblor::onnx_io
