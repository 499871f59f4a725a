#pragma once

#include <memory>

#include <temblor/train/loss.hpp>

namespace temblor {

// One factory a file in src/train/losses.
std::unique_ptr<Loss> make_cross_entropy(const Params& params);
std::unique_ptr<Loss> make_margin_robust(const Params& params);

}  // namespace temblor
