#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/memory_layout.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// Where the bits of stored codes lie in the words that a protection checks: so many consecutive addresses of
/// the memory, whatever the width of its own words. The last word is filled up with zeros.
class DataWords {
 public:
  /// `width`: bits a word, 1 to 64.
  DataWords(MemoryLayout layout, int width);

  struct Place {
    std::uint64_t word;
    unsigned bit;
    auto operator<=>(const Place&) const = default;
  };
  int width() const { return static_cast<int>(width_); }
  std::uint64_t words() const { return (layout_.bits() + width_ - 1) / width_; }
  Place place(const BitAddress& at) const;
  /// Empty in the filling of the last word.
  std::optional<BitAddress> address(const Place& place) const;
  /// Words with a bit of one of the layers: ranges [first, end), ascending, disjoint.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> words_of(const LayerSet& layers) const;

 private:
  MemoryLayout layout_;
  std::uint64_t width_;
};

}  // namespace temblor
