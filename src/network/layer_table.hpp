#pragma once

#include <memory>

#include <temblor/network/layer.hpp>

namespace temblor {

// One factory a file in src/network/layers.
std::unique_ptr<Layer> make_dense();
std::unique_ptr<Layer> make_relu();
std::unique_ptr<Layer> make_sigmoid();
std::unique_ptr<Layer> make_tanh();
std::unique_ptr<Layer> make_flatten();

}  // namespace temblor
