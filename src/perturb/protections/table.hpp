#pragma once

#include <temblor/perturb/protection.hpp>

namespace temblor {

/// One function a protection, defined in its file.
ProtectionEntry none_entry();
ProtectionEntry secded_72_64_entry();
ProtectionEntry secded_39_32_entry();
ProtectionEntry parity_entry();
ProtectionEntry tmr_entry();
ProtectionEntry tmr_selective_entry();
ProtectionEntry fixed_bits_entry();
ProtectionEntry clip_entry();
ProtectionEntry ranger_entry();

/// check-bits=faulted|safe, which every protection that adds memory has.
ParamSpec check_bits_param();
/// Inverted ones of `bits` added bits, sorted.
std::vector<std::uint64_t> added_faults(const Params& params, const Exposure& exposure, const Stream& stream,
                                        std::uint64_t bits);

}  // namespace temblor
