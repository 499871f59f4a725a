#pragma once

#include <memory>

#include <temblor/network/layer.hpp>

namespace temblor {

// One factory a file in src/network/layers.
std::unique_ptr<Layer> make_dense(const LayerOptions& options);
std::unique_ptr<Layer> make_conv2d(const LayerOptions& options);
std::unique_ptr<Layer> make_scale(const LayerOptions& options);
std::unique_ptr<Layer> make_relu(const LayerOptions& options);
std::unique_ptr<Layer> make_leaky_relu(const LayerOptions& options);
std::unique_ptr<Layer> make_clip(const LayerOptions& options);
std::unique_ptr<Layer> make_sigmoid(const LayerOptions& options);
std::unique_ptr<Layer> make_tanh(const LayerOptions& options);
std::unique_ptr<Layer> make_hard_swish(const LayerOptions& options);
std::unique_ptr<Layer> make_max_pool(const LayerOptions& options);
std::unique_ptr<Layer> make_average_pool(const LayerOptions& options);
std::unique_ptr<Layer> make_global_average_pool(const LayerOptions& options);
std::unique_ptr<Layer> make_add(const LayerOptions& options);
std::unique_ptr<Layer> make_concat(const LayerOptions& options);
std::unique_ptr<Layer> make_pad(const LayerOptions& options);
std::unique_ptr<Layer> make_slice(const LayerOptions& options);
std::unique_ptr<Layer> make_transpose(const LayerOptions& options);
std::unique_ptr<Layer> make_reshape(const LayerOptions& options);
std::unique_ptr<Layer> make_flatten(const LayerOptions& options);

}  // namespace temblor
