#pragma once

#include <algorithm>

#include <tbb/parallel_for.h>

#include <temblor/network/types.hpp>

namespace temblor {

/// Calls body(begin, count) for fixed pieces of [0, n), in parallel. The cut does not depend on the threads,
/// so an element-wise body gives the same bytes with any number of them.
template <class Body>
void for_chunks(Index n, const Body& body) {
  constexpr Index chunk = 16384;
  const Index chunks = (n + chunk - 1) / chunk;
  tbb::parallel_for(Index{0}, chunks, [&](Index i) { body(i * chunk, std::min(chunk, n - i * chunk)); });
}

}  // namespace temblor
