#pragma once

#include "builder.hpp"

namespace temblor::onnx_io {

/// Kernel, stride, padding and dilation of a window of `kernel` rows and columns on a picture of the sizes
/// `dims`, as layers take them. auto_pad is worked out. Padding below and at the right is more where
/// ceil_mode asks for a last window that sticks out. Bad-input error for attributes of other lengths and for
/// negative padding.
LayerOptions window_options(const Builder& builder, const Node& node, const Dims& kernel, const Dims& dims);

/// Whether ceil_mode added to the padding.
bool sticks_out(const Node& node, const LayerOptions& options);

}  // namespace temblor::onnx_io
