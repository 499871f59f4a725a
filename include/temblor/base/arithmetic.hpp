#pragma once

namespace temblor {

/// Makes the order of sums in matrix products a property of this program: Eigen sizes the blocks of its
/// products by the caches of the machine it runs on, and the blocks decide the order in which products are
/// added. After this call they follow from constants (32 KiB, 1 MiB, 16 MiB), so results do not depend on the
/// host's caches. Call it once, before the first product; every main() of this project does.
void fix_arithmetic();

}  // namespace temblor
