#pragma once

#include <memory>
#include <span>

#include <temblor/train/optimizer.hpp>

namespace temblor {

// One factory a file in src/train/optimizers.
std::unique_ptr<Optimizer> make_sgd(const Params& params, std::span<const Weights> parameters);
std::unique_ptr<Optimizer> make_adam(const Params& params, std::span<const Weights> parameters);

}  // namespace temblor
