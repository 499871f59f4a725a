#include "ripple.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

namespace temblor {
namespace {

/// More positions than this share of a plane are all computed: tiles stay whole.
constexpr double most_positions = 0.8;

}  // namespace

/// Positions whose window meets the region.
void Ripple::reach(std::size_t i, const Region& from, Region& to) {
  const Sliding& sliding = graph_->nodes[i].layer->sliding();
  to.all_channels = true;
  to.all_positions = true;
  if (from.all_positions) return;
  const auto limit = static_cast<std::size_t>(most_positions * static_cast<double>(sliding.positions()));
  const Window& window = sliding.window();
  if (window.stride == std::array<Index, 2>{1, 1} && from.positions.size() > limit) return;
  marks_.assign(static_cast<std::size_t>(sliding.positions()), 0);
  std::size_t count = 0;
  for (const std::int32_t p : from.positions) {
    const Index y = p / sliding.width() + window.padding[0];
    const Index x = p % sliding.width() + window.padding[1];
    for (Index r = 0; r < window.kernel[0]; ++r) {
      const Index row = y - r * window.dilation[0];
      if (row < 0 || row % window.stride[0] != 0 || row / window.stride[0] >= sliding.rows()) continue;
      for (Index c = 0; c < window.kernel[1]; ++c) {
        const Index column = x - c * window.dilation[1];
        if (column < 0 || column % window.stride[1] != 0 || column / window.stride[1] >= sliding.columns())
          continue;
        std::int32_t& mark = marks_[static_cast<std::size_t>(row / window.stride[0] * sliding.columns() +
                                                             column / window.stride[1])];
        count += mark == 0 ? 1 : 0;
        mark = 1;
      }
    }
    if (count > limit) return;
  }
  to.all_positions = false;
  to.positions.clear();
  for (std::size_t p = 0; p < marks_.size(); ++p) {
    if (marks_[p] != 0) to.positions.push_back(static_cast<std::int32_t>(p));
  }
}

void Ripple::unite(const Region& other, Region& region) const {
  if (region.all_channels || other.all_channels) {
    region.all_channels = true;
  } else if (region.channels != other.channels) {
    std::vector<Index> both;
    std::set_union(region.channels.begin(), region.channels.end(), other.channels.begin(),
                   other.channels.end(), std::back_inserter(both));
    region.channels = std::move(both);
  }
  if (region.all_positions || other.all_positions) {
    region.all_positions = true;
  } else if (region.positions != other.positions) {
    std::vector<std::int32_t> both;
    std::set_union(region.positions.begin(), region.positions.end(), other.positions.begin(),
                   other.positions.end(), std::back_inserter(both));
    region.positions = std::move(both);
  }
}

/// Outputs of a node that are known within `region`, which covers the node's own.
const float* Ripple::known_in(int node, const Region& region) {
  if (node < 0) return complete(node);
  Slot& slot = slots_[static_cast<std::size_t>(node)];
  if (slot.value != nullptr || !slot.changed) return complete(node);
  const Region& own = slot.region;
  const bool channels = own.all_channels || (!region.all_channels && own.channels == region.channels);
  if (!channels) return complete(node);
  if (own.all_positions || (!region.all_positions && own.positions == region.positions))
    return slot.own.data();
  const RippleGraph::Node& at = graph_->nodes[static_cast<std::size_t>(node)];
  const float* kept = golden(node);
  const bool computes = at.kind == RippleGraph::Kind::convolution && static_cast<std::size_t>(node) != first_;
  if (region.all_positions || !own.all_channels || (kept == nullptr && !computes)) return complete(node);
  std::vector<std::int32_t> more;
  std::set_difference(region.positions.begin(), region.positions.end(), own.positions.begin(),
                      own.positions.end(), std::back_inserter(more));
  if (kept != nullptr) {
    for (Index c = 0; c < at.channels; ++c) {
      const Index first_value = c * at.positions;
      for (const std::int32_t p : more) slot.own.data()[first_value + p] = kept[first_value + p];
    }
  } else {
    at.packed.multiply_at(complete(network_->nodes()[static_cast<std::size_t>(node)].inputs[0]), more,
                          slot.own.data());
  }
  unite(region, slot.region);
  return slot.own.data();
}

/// Room for the node's outputs.
void Ripple::reserve(std::size_t i) {
  slots_[i].own.resize(1, network_->nodes()[i].shape.size());
}

/// Golden outputs around the region of a node that keeps them: then its outputs are known everywhere.
void Ripple::fill(std::size_t i) {
  Slot& slot = slots_[i];
  const Region& region = slot.region;
  const Index positions = graph_->nodes[i].positions;
  const Index channels = graph_->nodes[i].channels;
  const float* kept = golden(static_cast<int>(i));
  float* own = slot.own.data();
  slot.value = own;
  rest_.clear();
  if (!region.all_positions) {
    auto next = region.positions.begin();
    for (std::int32_t p = 0; p < static_cast<std::int32_t>(positions); ++p) {
      if (next != region.positions.end() && *next == p) {
        ++next;
      } else {
        rest_.push_back(p);
      }
    }
  }
  auto next = region.channels.begin();
  for (Index c = 0; c < channels; ++c, own += positions, kept += positions) {
    if (!region.all_channels) {
      const bool within = next != region.channels.end() && *next == c;
      if (!within) {
        std::copy_n(kept, positions, own);
        continue;
      }
      ++next;
    }
    if (2 * rest_.size() <= static_cast<std::size_t>(positions)) {
      for (const std::int32_t p : rest_) own[p] = kept[p];
    } else {
      values_.clear();
      for (const std::int32_t p : region.positions) values_.push_back(own[p]);
      std::copy_n(kept, positions, own);
      const float* value = values_.data();
      for (const std::int32_t p : region.positions) own[p] = *value++;
    }
  }
}

/// Shrinks the region of a node whose outputs are computed there to where they differ from the golden ones.
void Ripple::settle(std::size_t i) {
  Slot& slot = slots_[i];
  Region& region = slot.region;
  if (region.full()) slot.value = slot.own.data();
  const float* kept = compared(i);
  if (kept == nullptr) return;
  const RippleGraph::Node& at = graph_->nodes[i];
  const Index channels = region.all_channels ? at.channels : static_cast<Index>(region.channels.size());
  marks_.assign(static_cast<std::size_t>(at.positions), 0);
  std::int32_t* marks = marks_.data();
  std::size_t found = 0;
  Index look = 4;
  for (Index c = 0; c < channels; ++c) {
    if (region.all_channels && c == look) {
      // Where every position differs already, the other channels tell nothing more.
      const auto differ = std::accumulate(marks_.begin(), marks_.end(), Index{0});
      if (differ == (region.all_positions ? at.positions : static_cast<Index>(region.positions.size())))
        return;
      look *= 2;
    }
    const Index channel = region.all_channels ? c : region.channels[static_cast<std::size_t>(c)];
    const float* now = slot.own.data() + channel * at.positions;
    const float* before = kept + channel * at.positions;
    std::int32_t any = 0;
    if (region.all_positions) {
      for (Index p = 0; p < at.positions; ++p) {
        const std::int32_t differs = now[p] == before[p] ? 0 : 1;
        marks[p] |= differs;
        any |= differs;
      }
    } else {
      for (const std::int32_t p : region.positions) {
        const std::int32_t differs = now[p] == before[p] ? 0 : 1;
        marks[p] |= differs;
        any |= differs;
      }
    }
    if (!region.all_channels && any != 0) region.channels[found++] = channel;
  }
  if (!region.all_channels) region.channels.resize(found);
  region.positions.clear();
  for (Index p = 0; p < at.positions; ++p) {
    if (marks[p] != 0) region.positions.push_back(static_cast<std::int32_t>(p));
  }
  region.all_positions = static_cast<Index>(region.positions.size()) == at.positions;
  if (region.positions.empty()) {
    slot.changed = false;
    slot.value = kept;
  }
}

}  // namespace temblor
