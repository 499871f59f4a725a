#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace temblor {

/// Memory that begins with a cache line: a vector of 16 floats never lies across two.
template <class T>
struct CacheAligned {
  using value_type = T;
  static constexpr std::align_val_t line{64};

  CacheAligned() = default;
  template <class U>
  CacheAligned(const CacheAligned<U>&) {}  // NOLINT(google-explicit-constructor): allocators convert

  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), line)); }
  void deallocate(T* at, std::size_t) { ::operator delete(at, line); }
  bool operator==(const CacheAligned&) const { return true; }
};

using AlignedFloats = std::vector<float, CacheAligned<float>>;

}  // namespace temblor
