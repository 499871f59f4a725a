#pragma once

#include <temblor/attacks/attack.hpp>

namespace temblor {

/// One function an attack, defined in its file.
AttackEntry bit_flip_entry();
AttackEntry weight_pgd_entry();

}  // namespace temblor
