#pragma once

#include <span>
#include <string>
#include <vector>

#include <temblor/base/error.hpp>
#include <temblor/network/layer.hpp>
#include <temblor/network/window.hpp>

namespace temblor {

// Options that make_layer has completed and checked.

inline Index whole(const LayerOptions& options, const std::string& name) {
  return static_cast<Index>(options.at(name).front());
}

inline std::vector<Index> wholes(const LayerOptions& options, const std::string& name) {
  return {options.at(name).begin(), options.at(name).end()};
}

/// Kernel, stride and padding, and dilation where the layer has it.
inline Window window_of(const LayerOptions& options) {
  Window window;
  const auto take = [&](const std::string& name, auto& to) {
    if (options.contains(name)) std::copy_n(wholes(options, name).begin(), to.size(), to.begin());
  };
  take("kernel", window.kernel);
  take("stride", window.stride);
  take("dilation", window.dilation);
  take("padding", window.padding);
  return window;
}

inline void one_input(const Layer& layer, std::span<const Shape> inputs) {
  if (inputs.size() != 1) {
    input_error("a " + std::string(layer.kind()) + " layer has " + std::to_string(inputs.size()) + " inputs",
                "", "give it one");
  }
}

}  // namespace temblor
