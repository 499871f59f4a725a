#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace temblor::exact {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Index most_pivots = 1000;
constexpr int polish_sweeps = 4;
// Members this much short of the best drop are polished; more of them at the first nodes.
constexpr double promise = 0.02;
constexpr double first_promise = 0.3;
constexpr Index first_nodes = 100;
constexpr double off_by = 1e-8;  // by how much an activation may exceed its ReLU and still count as exact

}  // namespace

Search::Search(const Relaxation& relaxation, BoxedLp& lp, Members& members, std::size_t base,
               double drop_from, const SearchOptions& options)
    : relaxation_(&relaxation),
      lp_(&lp),
      members_(&members),
      base_(base),
      drop_from_(drop_from),
      options_(options),
      state_(relaxation.units().size(), State::free) {
  for (const Program& program : relaxation.programs()) {
    lower_.push_back(program.lower);
    upper_.push_back(program.upper);
  }
}

void Search::set(std::size_t unit, State state) {
  if (state_[unit] == state) return;
  state_[unit] = state;
  const Unit& at = relaxation_->units()[unit];
  for (std::size_t q = 0; q < lower_.size(); ++q) {
    const Program& program = relaxation_->programs()[q];
    upper_[q](at.column) = state == State::off ? 0 : program.upper(at.column);
    lower_[q](at.column) = state == State::off ? 0 : program.lower(at.column);
    upper_[q](at.gate) = state == State::on ? program.above[unit].on : program.above[unit].open;
  }
  lp_->bound(at.column, lower_[0](at.column), upper_[0](at.column));
  lp_->bound(at.gate, lower_[0](at.gate), upper_[0](at.gate));
}

void Search::go_to(Index node) {
  std::vector<State> wanted(state_.size(), State::free);
  for (Index at = node; at >= 0; at = tree_[static_cast<std::size_t>(at)].parent) {
    const Node& step = tree_[static_cast<std::size_t>(at)];
    if (step.unit >= 0) wanted[static_cast<std::size_t>(step.unit)] = step.state;
  }
  for (std::size_t k = 0; k < wanted.size(); ++k) set(k, wanted[k]);
}

/// Activations of the program's solution, layer by layer from the base layer on; of a moving image its
/// values.
std::vector<VectorD> Search::solution() const {
  std::vector<VectorD> active(members_->layers() - base_);
  for (std::size_t m = 0; m < active.size(); ++m) {
    active[m] = VectorD::Zero(members_->active(base_ + m).size());
    for (Index k = 0; k < active[m].size(); ++k) {
      const Index column = relaxation_->column(base_ + m, k);
      if (column >= 0) active[m](k) = lp_->value(column);
    }
  }
  if (const ImageBase* image = relaxation_->image(); image != nullptr) {
    active[0] += image->offset;
    for (std::size_t k = 0; k < image->split.size(); ++k) {
      const Index second = image->offset.size() + static_cast<Index>(k);
      active[0](image->split[k]) -= lp_->value(relaxation_->column(base_, second));
    }
  }
  return active;
}

/// A member from the activations of the program's solution; where it is among the best, a better one nearby.
bool Search::improve(Found& found, double constant) {
  double margin = members_->follow(solution());
  const double share = found.nodes > first_nodes ? promise : first_promise;
  const bool promising = margin < found.upper + share * (drop_from_ - found.upper);
  if (promising) margin = members_->polish(polish_sweeps);
  if (margin >= found.upper) return false;
  found.upper = margin;
  found.slack = members_->slack();
  descend(found, constant);
  return true;
}

/// Local search over patterns of active units. With the pattern of the best member the program is exact: its
/// solution is the best member of that pattern. Where a unit is held at its kink and would pay to pass it,
/// its other state is tried.
void Search::descend(Found& found, double constant) {
  const std::vector<State> before = state_;
  const auto& units = relaxation_->units();
  members_->load(found.slack);
  for (std::size_t k = 0; k < units.size(); ++k) {
    if (!units[k].open()) continue;
    set(k, members_->active(units[k].layer)(units[k].unit) > 0 ? State::on : State::off);
  }
  // Whether the program at hand has a better member; then it is kept.
  const auto better = [&] {
    const double stop = found.upper - 1e-9 * (1 + std::abs(found.upper)) - constant;
    if (lp_->solve(stop, most_pivots) != BoxedLp::End::optimal) return false;
    const double margin = members_->follow(solution());
    if (margin >= found.upper) return false;
    found.upper = margin;
    found.slack = members_->slack();
    return true;
  };
  better();
  for (int round = 0; round < 20; ++round) {
    lp_->solve(infinity, most_pivots);
    std::vector<std::pair<double, std::size_t>> held;
    for (std::size_t k = 0; k < units.size(); ++k) {
      if (!units[k].open()) continue;
      double pull = -lp_->reduced_cost(units[k].gate);
      if (state_[k] != State::on) {
        pull = units[k].below < 0 ? -lp_->reduced_cost(units[k].column)
                                  : lp_->reduced_cost(lp_->columns() + units[k].below);
      }
      if (pull > 0 && lp_->value(units[k].column) < off_by) held.emplace_back(-pull, k);
    }
    std::sort(held.begin(), held.end());
    bool moved = false;
    for (const auto& [pull, k] : held) {
      const State old = state_[k];
      set(k, old == State::on ? State::off : State::on);
      if (better()) {
        moved = true;
        break;
      }
      set(k, old);
    }
    if (!moved) break;
  }
  for (std::size_t k = 0; k < before.size(); ++k) set(k, before[k]);
}

Search::Choice Search::choose(double room) {
  Choice choice;
  double best = -1;
  for (std::size_t k = 0; k < state_.size(); ++k) {
    const Unit& unit = relaxation_->units()[k];
    if (!unit.open() || state_[k] != State::free) continue;
    const Program& program = relaxation_->programs().front();
    const double on = program.above[k].on;
    const double excess = std::min(lp_->value(unit.column), lp_->value(unit.gate) - on);
    if (excess <= off_by) continue;
    const double off = std::min(room, lp_->penalty(unit.column, 0, 0));
    const double active = std::min(room, lp_->penalty(unit.gate, program.lower(unit.gate), on));
    if (off >= room) {
      choice.closed.emplace_back(static_cast<Index>(k), State::off);
    } else if (active >= room) {
      choice.closed.emplace_back(static_cast<Index>(k), State::on);
    }
    const double score = std::max(off, 1e-7 * room) * std::max(active, 1e-7 * room) + 1e-12 * excess;
    if (score > best) {
      best = score;
      choice.unit = static_cast<Index>(k);
      choice.on_first = active < off;
    }
  }
  return choice;
}

std::vector<double> Search::limits(const std::vector<VectorD>& costs, const std::vector<double>& constants,
                                   const VectorD& y) const {
  std::vector<double> lower;
  for (std::size_t q = 0; q < costs.size(); ++q) {
    const double limit = Relaxation::limit(relaxation_->programs()[q], costs[q], lower_[q], upper_[q], y);
    lower.push_back(below(limit + constants[q], std::abs(limit)));
  }
  return lower;
}

Index Search::settle(Index at, const Choice& choice, double room, double ceiling,
                     const std::vector<VectorD>& costs, const std::vector<double>& constants, Found& found) {
  std::vector<std::pair<Index, State>> kept;
  for (const auto& [index, state] : choice.closed) {
    const auto k = static_cast<std::size_t>(index);
    const Unit& unit = relaxation_->units()[k];
    const bool off = state == State::off;
    const Program& program = relaxation_->programs().front();
    lp_->duals_after(off ? unit.column : unit.gate, off ? 0 : program.lower(unit.gate),
                     off ? 0 : program.above[k].on, room * (1 + 1e-6) + 1e-10, multipliers_);
    set(k, state);
    std::vector<double> lower = limits(costs, constants, multipliers_);
    set(k, State::free);
    if (lower.front() < ceiling) continue;
    for (std::size_t q = 0; q < lower.size(); ++q) {
      lower[q] = std::max(lower[q], tree_[static_cast<std::size_t>(at)].lower[q]);
      found.lower[q] = std::min(found.lower[q], lower[q]);
    }
    kept.emplace_back(index, off ? State::on : State::off);
  }
  for (const auto& [unit, state] : kept) {
    tree_.push_back({at, unit, state, tree_[static_cast<std::size_t>(at)].lower});
    at = static_cast<Index>(tree_.size()) - 1;
    set(static_cast<std::size_t>(unit), state);
  }
  return at;
}

Found Search::run(const std::vector<VectorD>& costs, const std::vector<double>& constants,
                  const std::vector<double>& known, const std::vector<VectorD>* start) {
  const auto started = std::chrono::steady_clock::now();
  Found found{std::vector<double>(costs.size(), infinity), infinity, {}, 0, true};
  lp_->objective(costs.front());
  tree_.clear();
  tree_.push_back({-1, -1, State::free, known});
  using Entry = std::pair<double, Index>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> open;
  const auto gap = [&] {
    return options_.gap * (1 + std::max(0.0, drop_from_ - std::min(found.upper, drop_from_)));
  };
  const auto ceiling = [&] { return std::min(found.upper - gap(), options_.enough); };
  const auto close = [&](const std::vector<double>& lower) {
    for (std::size_t q = 0; q < lower.size(); ++q) found.lower[q] = std::min(found.lower[q], lower[q]);
  };
  if (start != nullptr) {
    members_->load(*start);
    found.upper = members_->polish(polish_sweeps);
    found.slack = members_->slack();
    descend(found, constants.front());
  }
  VectorD y;
  Index next = 0;
  bool settled = false;  // the node at hand is the last one with some units settled
  while (true) {
    if (next < 0) {
      if (open.empty()) break;
      next = open.top().second;
      open.pop();
    }
    const auto at = static_cast<std::size_t>(next);
    if (tree_[at].lower.front() >= ceiling()) {
      close(tree_[at].lower);
      next = -1;
      settled = false;
      continue;
    }
    const bool late =
        options_.seconds > 0 &&
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() > options_.seconds;
    if ((found.nodes >= options_.nodes || late) && found.nodes > 0) {
      found.closed = false;
      close(tree_[at].lower);
      next = -1;
      continue;
    }
    if (!settled) ++found.nodes;
    go_to(next);
    const double stop =
        std::min(found.upper - 0.5 * gap(), options_.enough + 0.5 * gap()) - constants.front();
    auto end = lp_->solve(stop, most_pivots);
    if (end == BoxedLp::End::stalled) {
      lp_->disturb(1e-7);
      end = lp_->solve(stop, most_pivots);
      lp_->objective(costs.front());
    }
    lp_->duals(y);
    const std::vector<double> own = limits(costs, constants, y);
    for (std::size_t q = 0; q < costs.size(); ++q) tree_[at].lower[q] = std::max(tree_[at].lower[q], own[q]);
    if (end == BoxedLp::End::optimal && improve(found, constants.front())) lp_->solve(infinity, most_pivots);
    const double room = ceiling() - tree_[at].lower.front();
    if (room <= 0) {
      close(tree_[at].lower);
      next = -1;
      settled = false;
      continue;
    }
    Choice choice = choose(room);
    if (end == BoxedLp::End::optimal && !choice.closed.empty()) {
      const Index rest = settle(next, choice, room, ceiling(), costs, constants, found);
      settled = rest != next;
      next = rest;
      if (settled) continue;
    }
    settled = false;
    for (std::size_t k = 0; k < state_.size() && choice.unit < 0 && end != BoxedLp::End::optimal; ++k) {
      const bool undecided = state_[k] == State::free && relaxation_->units()[k].open();
      if (undecided) choice.unit = static_cast<Index>(k);
    }
    if (choice.unit < 0) {
      found.closed = false;
      close(tree_[at].lower);
      next = -1;
      continue;
    }
    const Index parent = next;
    for (const bool on : {choice.on_first, !choice.on_first}) {
      const auto child = static_cast<Index>(tree_.size());
      tree_.push_back(
          {parent, choice.unit, on ? State::on : State::off, tree_[static_cast<std::size_t>(parent)].lower});
      if (on == choice.on_first) {
        next = child;
      } else {
        open.emplace(tree_.back().lower.front(), child);
      }
    }
  }
  for (std::size_t k = 0; k < state_.size(); ++k) set(k, State::free);
  return found;
}

}  // namespace temblor::exact
