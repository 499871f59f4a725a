#include <algorithm>

#include <temblor/base/error.hpp>
#include <temblor/perturb/data_words.hpp>

namespace temblor {

DataWords::DataWords(MemoryLayout layout, int width)
    : layout_(std::move(layout)), width_(static_cast<std::uint64_t>(width)) {
  ensure(width >= 1 && width <= 64, "words have 1 to 64 bits");
}

DataWords::Place DataWords::place(const BitAddress& at) const {
  const std::uint64_t address = layout_.address(at);
  return {address / width_, static_cast<unsigned>(address % width_)};
}

std::optional<BitAddress> DataWords::address(const Place& place) const {
  const std::uint64_t address = place.word * width_ + place.bit;
  if (address >= layout_.bits()) return std::nullopt;
  return layout_.bit_at(address);
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> DataWords::words_of(const LayerSet& layers) const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const int layer : layers) spans.push_back(layout_.span(layer));
  std::sort(spans.begin(), spans.end());
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (const auto& [begin, behind] : spans) {
    if (begin == behind) continue;
    std::uint64_t first = begin / width_;
    if (!ranges.empty()) first = std::max(first, ranges.back().second);
    const std::uint64_t end = (behind - 1) / width_ + 1;
    if (first < end) ranges.emplace_back(first, end);
  }
  return ranges;
}

}  // namespace temblor
