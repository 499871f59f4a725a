#pragma once

#include <cstdint>
#include <vector>

#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/memory_layout.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// Stored words of one layer that faults may hit: codes [outputs x inputs], or scales or zero points, with
/// one column.
struct WordGrid {
  std::uint32_t layer;
  std::uint64_t rows;
  std::uint64_t cols;
};

/// The bits that faults may hit, numbered from 0: chosen bits of every word of the chosen rows, word by word,
/// layer by layer.
class BitPopulation {
 public:
  /// `bits`: sorted, not empty. `rows`: sorted, of every layer; empty for all.
  BitPopulation(const std::vector<WordGrid>& grids, std::vector<std::uint32_t> bits,
                std::vector<std::uint64_t> rows);
  std::uint64_t size() const { return start_.back(); }
  BitAddress at(std::uint64_t position) const;

 private:
  std::vector<WordGrid> grids_;
  std::vector<std::uint32_t> bits_;
  std::vector<std::uint64_t> rows_;
  std::vector<std::uint64_t> start_;  ///< number of each layer's first bit, and the end
};

/// Parts of a memory that fail as a whole.
enum class MemoryUnit { word, row, column, bank };

/// The units of one kind that hold a stored bit of the chosen layers, numbered from 0 in address order: words
/// by address, the others bank by bank.
class MemoryUnits {
 public:
  MemoryUnits(const MemoryLayout& layout, MemoryUnit unit, const LayerSet& layers);
  std::uint64_t size() const { return start_.back(); }
  /// Addresses of the stored bits of the chosen layers in unit `i`, in the order of its cells (row by row,
  /// column by column; of a word bit by bit).
  std::vector<std::uint64_t> addresses(std::uint64_t i) const;
  /// Stored bits that one unit can hold.
  std::uint64_t most_bits() const;

 private:
  void add(std::uint64_t first, std::uint64_t last);

  const MemoryLayout* layout_;
  MemoryUnit unit_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans_;  ///< addresses of the chosen layers, sorted
  std::vector<std::uint64_t>
      first_;  ///< runs of units: word, bank x rows + row, bank x columns + column, bank
  std::vector<std::uint64_t> start_;  ///< number of each run's first unit, and the end
};

}  // namespace temblor
