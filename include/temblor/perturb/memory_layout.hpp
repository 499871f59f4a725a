#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/perturb/faults.hpp>
#include <temblor/perturb/memory.hpp>

namespace temblor {

/// A bit's place in the chips.
struct MemoryCell {
  std::uint64_t bank;
  std::uint64_t row;     ///< within the bank
  std::uint64_t column;  ///< bit of the row
  auto operator<=>(const MemoryCell&) const = default;
};

/// Where the codes of all weighted layers are: the codes packed one after another without gaps, bit 0 first,
/// and cut into words of `word` bits. The number of a bit in that order is its address: word address / word,
/// bit address mod word of it. The memory is as large as it has to be: banks x rows() x columns() cells, of
/// which the last ones hold nothing. Weights keep their index, row-major in [outputs x inputs].
class MemoryLayout {
 public:
  /// `codes`: one Encoded a weighted layer.
  MemoryLayout(const MemorySpec& spec, const std::vector<Encoded>& codes);

  std::uint64_t bits() const { return start_.back(); }  ///< stored bits
  std::uint64_t words() const;                          ///< words that hold at least one
  std::uint64_t banks() const { return banks_; }
  std::uint64_t rows() const { return rows_; }  ///< of a bank
  std::uint64_t columns() const { return row_ * word_; }
  const MemorySpec& spec() const { return spec_; }

  std::uint64_t address(const BitAddress& bit) const;
  BitAddress bit_at(std::uint64_t address) const;
  /// Addresses of the first bit of a layer and of the first bit behind it.
  std::pair<std::uint64_t, std::uint64_t> span(int layer) const;

  MemoryCell cell(std::uint64_t address) const;
  /// Address of the bit in a cell; empty when the cell holds none.
  std::optional<std::uint64_t> stored_in(const MemoryCell& cell) const;

 private:
  struct Place {
    std::uint32_t layer;
    std::uint64_t bits;  ///< of a code
    std::uint64_t rows;
    std::uint64_t cols;
  };

  MemorySpec spec_;
  std::uint64_t word_, row_, banks_, group_;  ///< as in the spec
  std::uint64_t rows_ = 0;
  std::vector<Place> places_;         ///< in the order of addresses
  std::vector<std::uint64_t> start_;  ///< address of each place, and the end
  std::vector<std::size_t> place_of_layer_;
};

}  // namespace temblor
