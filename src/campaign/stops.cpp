#include <temblor/base/error.hpp>
#include <temblor/campaign/stops.hpp>

namespace temblor {

Stops::Stops(const Plan& plan, const PartialFile& partial)
    : plan_(&plan), written_(plan.blocks.size(), 0), points_(plan.points.size()) {
  for (std::size_t block = plan.blocks.size(); block-- > 0;) {
    auto& point = points_[plan.blocks[block].point];
    point.first = block;
    ++point.count;
  }
  if (plan.until) {
    for (auto& point : points_) {
      for (const auto& term : plan.until->terms) point.tallies.emplace_back(*term.rate, plan.data.size());
    }
  }
  for (std::size_t block = 0; block < plan.blocks.size(); ++block) {
    if (partial.status()[block] == 0) continue;
    written(block, plan.until ? partial.read_trials(block) : std::vector<TrialRow>{});
  }
}

bool Stops::met(const PointState& state) const {
  if (!plan_->until) return false;
  for (std::size_t i = 0; i < state.tallies.size(); ++i) {
    const auto& term = plan_->until->terms[i];
    if (state.tallies[i].trials() < term.least_trials()) return false;
    if (state.tallies[i].estimate(IntervalMethod::wilson, term.confidence).half_width() >= term.width)
      return false;
  }
  return true;
}

void Stops::written(std::size_t block, const std::vector<TrialRow>& trials) {
  written_[block] = 1;
  auto& point = points_[plan_->blocks[block].point];
  if (point.met || block < point.first + point.next) return;
  point.waiting.emplace(block, trials);
  while (!point.met && !point.waiting.empty() && point.waiting.begin()->first == point.first + point.next) {
    for (const auto& trial : point.waiting.begin()->second) {
      for (auto& tally : point.tallies) tally.add(trial);
    }
    point.waiting.erase(point.waiting.begin());
    ++point.next;
    point.met = met(point);
  }
  if (point.met) point.waiting.clear();
}

bool Stops::needed(std::size_t block) const {
  const auto& point = points_[plan_->blocks[block].point];
  return !point.met || block < point.first + point.next;
}

std::size_t Stops::blocks_left() const {
  std::size_t left = 0;
  for (std::size_t block = 0; block < written_.size(); ++block)
    left += written_[block] == 0 && needed(block) ? 1 : 0;
  return left;
}

bool Stops::complete() const {
  return blocks_left() == 0;
}

std::size_t Stops::blocks(std::size_t point) const {
  const auto& state = points_[point];
  ensure(state.next == state.count || state.met, "the point is complete");
  return state.next;
}

std::int64_t Stops::trials(std::size_t point) const {
  std::int64_t sum = 0;
  const auto count = blocks(point);
  for (std::size_t b = 0; b < count; ++b) sum += plan_->blocks[points_[point].first + b].count;
  return sum;
}

}  // namespace temblor
