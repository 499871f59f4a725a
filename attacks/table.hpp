#pragma once

#include <temblor/attacks/attack.hpp>

namespace temblor {

/// One function an attack, defined in its file.
AttackEntry weight_pgd_entry();
AttackEntry bit_flip_entry();
AttackEntry stuck_at_entry();
AttackEntry asymmetric_entry();
AttackEntry burst_entry();
AttackEntry word_entry();
AttackEntry memory_entry();
AttackEntry progressive_bit_search_entry();
AttackEntry quantization_noise_entry();
AttackEntry gaussian_entry();
AttackEntry exact_entry();
AttackEntry k_weights_entry();
AttackEntry fault_map_entry();
AttackEntry activation_flip_entry();

}  // namespace temblor
