#pragma once

namespace temblor {

/// Whether the float32 kernels of dense and convolutional layers use vectors of 16 (AVX-512), which they do
/// where the processor has them, instead of 8. It changes their speed alone: every output is one chain of
/// fused multiply-adds, in a lane of its own, so the results are the same bit for bit.
bool wide_vectors();
/// Turns them on (no effect where the processor has none) or off, for all threads: for tests and benchmarks.
/// Returns what was in force before.
bool use_wide_vectors(bool on);

}  // namespace temblor
