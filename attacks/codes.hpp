#pragma once

#include <vector>

#include <temblor/attacks/attack.hpp>

namespace temblor {

/// The stored codes behind the context's network, one Encoded a weighted layer; where the context has none
/// they are made in `own`, which must outlive the result.
const std::vector<Encoded>* stored_codes(const AttackContext& context, std::vector<Encoded>& own);

}  // namespace temblor
