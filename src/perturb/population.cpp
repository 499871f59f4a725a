#include <algorithm>
#include <unordered_set>

#include <temblor/base/error.hpp>
#include <temblor/perturb/population.hpp>

namespace temblor {
namespace {

/// Index of the run of `start` that holds `value`; the last entry is the end.
std::size_t run_of(const std::vector<std::uint64_t>& start, std::uint64_t value) {
  ensure(value < start.back(), "a number of the population");
  return static_cast<std::size_t>(std::upper_bound(start.begin(), start.end(), value) - start.begin()) - 1;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> spans_of(const MemoryLayout& layout,
                                                              const LayerSet& layers) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  for (const int layer : layers) spans.push_back(layout.span(layer));
  std::sort(spans.begin(), spans.end());
  return spans;
}

}  // namespace

BitPopulation::BitPopulation(const std::vector<WordGrid>& grids, std::vector<std::uint32_t> bits,
                             std::vector<std::uint64_t> rows)
    : grids_(grids), bits_(std::move(bits)), rows_(std::move(rows)), start_{0} {
  for (const auto& grid : grids_) {
    ensure(rows_.empty() || rows_.back() < grid.rows, "every layer has the chosen rows");
    start_.push_back(start_.back() + (rows_.empty() ? grid.rows : rows_.size()) * grid.cols * bits_.size());
  }
}

BitAddress BitPopulation::at(std::uint64_t position) const {
  const std::size_t k = run_of(start_, position);
  const std::uint64_t word = (position - start_[k]) / bits_.size();
  std::uint64_t index = word;
  if (!rows_.empty()) index = rows_[word / grids_[k].cols] * grids_[k].cols + word % grids_[k].cols;
  return {grids_[k].layer, static_cast<std::uint32_t>(index), bits_[(position - start_[k]) % bits_.size()]};
}

MemoryUnits::MemoryUnits(const MemoryLayout& layout, MemoryUnit unit, const LayerSet& layers)
    : layout_(&layout), unit_(unit), spans_(spans_of(layout, layers)), start_{0} {
  const auto width = static_cast<std::uint64_t>(layout.spec().word);
  std::unordered_set<std::uint64_t> seen;   // units
  std::unordered_set<std::uint64_t> whole;  // columns: whole words whose columns are in `seen`
  for (const auto& [first, last] : spans_) {
    if (first == last) continue;
    if (unit == MemoryUnit::word) {
      add(first / width, (last - 1) / width + 1);
      continue;
    }
    for (std::uint64_t address = first; address < last; address = (address / width + 1) * width) {
      const MemoryCell cell = layout.cell(address);
      if (unit != MemoryUnit::column) {
        seen.insert(unit == MemoryUnit::row ? cell.bank * layout.rows() + cell.row : cell.bank);
        continue;
      }
      const std::uint64_t end = std::min(last, (address / width + 1) * width);
      const auto column = [&](std::uint64_t at) {
        const MemoryCell place = layout.cell(at);
        return place.bank * layout.columns() + place.column;
      };
      if (end - address == width && !whole.insert(column(address)).second) continue;
      for (std::uint64_t at = address; at < end; ++at) seen.insert(column(at));
    }
  }
  std::vector<std::uint64_t> sorted(seen.begin(), seen.end());
  std::sort(sorted.begin(), sorted.end());
  for (const std::uint64_t one : sorted) add(one, one + 1);
}

void MemoryUnits::add(std::uint64_t first, std::uint64_t last) {
  const std::uint64_t end = first_.empty() ? 0 : first_.back() + (start_.back() - start_[start_.size() - 2]);
  if (!first_.empty() && first <= end) {  // two layers may share a word
    start_.back() += std::max(last, end) - end;
    return;
  }
  first_.push_back(first);
  start_.push_back(start_.back() + (last - first));
}

std::vector<std::uint64_t> MemoryUnits::addresses(std::uint64_t i) const {
  const std::size_t run = run_of(start_, i);
  const std::uint64_t unit = first_[run] + (i - start_[run]);
  std::vector<std::uint64_t> found;
  const auto note = [&](std::uint64_t address) {
    const bool chosen = std::any_of(spans_.begin(), spans_.end(), [&](const auto& span) {
      return span.first <= address && address < span.second;
    });
    if (chosen) found.push_back(address);
  };
  const auto look = [&](const MemoryCell& cell) {
    if (const auto address = layout_->stored_in(cell)) note(*address);
  };
  const std::uint64_t rows = layout_->rows(), columns = layout_->columns();
  switch (unit_) {
    case MemoryUnit::word: {
      const auto width = static_cast<std::uint64_t>(layout_->spec().word);
      for (std::uint64_t at = unit * width; at < (unit + 1) * width; ++at) note(at);
      break;
    }
    case MemoryUnit::row:
      for (std::uint64_t c = 0; c < columns; ++c) look({unit / rows, unit % rows, c});
      break;
    case MemoryUnit::column:
      for (std::uint64_t r = 0; r < rows; ++r) look({unit / columns, r, unit % columns});
      break;
    case MemoryUnit::bank:
      for (std::uint64_t r = 0; r < rows; ++r)
        for (std::uint64_t c = 0; c < columns; ++c) look({unit, r, c});
      break;
  }
  return found;
}

std::uint64_t MemoryUnits::most_bits() const {
  switch (unit_) {
    case MemoryUnit::word:
      return static_cast<std::uint64_t>(layout_->spec().word);
    case MemoryUnit::row:
      return layout_->columns();
    case MemoryUnit::column:
      return layout_->rows();
    case MemoryUnit::bank:
      return layout_->rows() * layout_->columns();
  }
  internal_error("a memory unit without a size");
}

}  // namespace temblor
