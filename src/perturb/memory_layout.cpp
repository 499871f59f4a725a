#include <algorithm>

#include <temblor/base/error.hpp>
#include <temblor/perturb/memory_layout.hpp>

namespace temblor {

MemoryLayout::MemoryLayout(const MemorySpec& spec, const std::vector<Encoded>& codes)
    : spec_(spec),
      word_(static_cast<std::uint64_t>(spec.word)),
      row_(static_cast<std::uint64_t>(spec.row)),
      banks_(static_cast<std::uint64_t>(spec.banks)),
      group_(static_cast<std::uint64_t>(spec.bit_interleave)),
      place_of_layer_(codes.size()) {
  ensure(spec.word > 0 && spec.row > 0 && spec.banks > 0 && spec.bit_interleave > 0 &&
             spec.row % spec.bit_interleave == 0,
         "a memory's sizes are positive and fit");
  std::uint64_t next = 0;
  for (std::size_t k = 0; k < codes.size(); ++k) {
    const std::size_t layer = spec.reverse_layers ? codes.size() - 1 - k : k;
    const Encoded& encoded = codes[layer];
    place_of_layer_[layer] = k;
    places_.push_back({static_cast<std::uint32_t>(layer), static_cast<std::uint64_t>(encoded.format->bits),
                       encoded.rows, encoded.cols});
    start_.push_back(next);
    next += encoded.codes.size() * places_.back().bits;
  }
  start_.push_back(next);
  const std::uint64_t per_bank = (words() + banks_ - 1) / banks_;  // word by word
  const std::uint64_t rows = (words() + row_ - 1) / row_;
  rows_ = spec.interleave == Interleave::word ? (per_bank + row_ - 1) / row_ : (rows + banks_ - 1) / banks_;
}

std::uint64_t MemoryLayout::words() const {
  return (bits() + word_ - 1) / word_;
}

std::pair<std::uint64_t, std::uint64_t> MemoryLayout::span(int layer) const {
  const std::size_t place = place_of_layer_.at(static_cast<std::size_t>(layer));
  return {start_[place], start_[place + 1]};
}

std::uint64_t MemoryLayout::address(const BitAddress& bit) const {
  const std::size_t k = place_of_layer_[bit.layer];
  const Place& place = places_[k];
  std::uint64_t position = bit.index;
  if (spec_.column_major) position = bit.index % place.cols * place.rows + bit.index / place.cols;
  return start_[k] + position * place.bits + bit.bit;
}

BitAddress MemoryLayout::bit_at(std::uint64_t address) const {
  ensure(address < bits(), "an address is that of a stored bit");
  const auto above = std::upper_bound(start_.begin(), start_.end(), address);
  const auto k = static_cast<std::size_t>(above - start_.begin()) - 1;
  const Place& place = places_[k];
  const std::uint64_t position = (address - start_[k]) / place.bits;
  std::uint64_t index = position;
  if (spec_.column_major) index = position % place.rows * place.cols + position / place.rows;
  return {place.layer, static_cast<std::uint32_t>(index),
          static_cast<std::uint32_t>((address - start_[k]) % place.bits)};
}

MemoryCell MemoryLayout::cell(std::uint64_t address) const {
  std::uint64_t word = address / word_;
  std::uint64_t bank = 0;
  if (spec_.interleave == Interleave::word) {
    bank = word % banks_;
    word /= banks_;
  }
  std::uint64_t row = word / row_;
  const std::uint64_t slot = word % row_;
  if (spec_.interleave == Interleave::row) {
    bank = row % banks_;
    row /= banks_;
  } else if (spec_.interleave == Interleave::none) {
    bank = row / rows_;
    row %= rows_;
  }
  return {bank, row, slot / group_ * group_ * word_ + address % word_ * group_ + slot % group_};
}

std::optional<std::uint64_t> MemoryLayout::stored_in(const MemoryCell& cell) const {
  if (cell.bank >= banks_ || cell.row >= rows_ || cell.column >= columns()) return std::nullopt;
  const std::uint64_t within = cell.column % (group_ * word_);
  const std::uint64_t slot = cell.column / (group_ * word_) * group_ + within % group_;
  std::uint64_t row = cell.row;
  if (spec_.interleave == Interleave::row) row = cell.row * banks_ + cell.bank;
  if (spec_.interleave == Interleave::none) row = cell.bank * rows_ + cell.row;
  std::uint64_t word = row * row_ + slot;
  if (spec_.interleave == Interleave::word) word = word * banks_ + cell.bank;
  const std::uint64_t address = word * word_ + within / group_;
  if (address >= bits()) return std::nullopt;
  return address;
}

}  // namespace temblor
