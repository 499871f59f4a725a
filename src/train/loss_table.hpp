#pragma once

#include <memory>

#include <temblor/train/loss.hpp>

namespace temblor {

// One factory a file in src/train/losses.
std::unique_ptr<Loss> make_cross_entropy(const Params& params);
std::unique_ptr<Loss> make_margin_robust(const Params& params);
std::unique_ptr<Loss> make_certified(const Params& params);
std::unique_ptr<Loss> make_awp(const Params& params);
std::unique_ptr<Loss> make_sam(const Params& params);
std::unique_ptr<Loss> make_randbet(const Params& params);

}  // namespace temblor
