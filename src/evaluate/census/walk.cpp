#include "walk.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::census {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

using Lanes __attribute__((vector_size(32), aligned(8))) = double;
using Places __attribute__((vector_size(32))) = std::int64_t;

Lanes load(const double* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

/// to[0, n) += factor * from[0, n), whole vectors.
void add(double factor, const double* from, Index n, double* to) {
  for (Index v = 0; v < n; v += lanes) {
    const Lanes sum = load(to + v) + factor * load(from + v);
    *reinterpret_cast<Lanes*>(to + v) = sum;
  }
}

}  // namespace

RayTracer::Walk::Walk(const Above& stages) : above(&stages), classes(0) {
  if (stages.levels.empty()) return;
  classes = static_cast<std::int32_t>(stages.levels.back().units);
  const auto total = static_cast<std::size_t>(stages.total);
  value.assign(total, 0.0);
  slope.assign(total, 0.0);
  sign.assign(total, -1.0);
  change.assign(total, 0.0);
  const auto padded = static_cast<std::size_t>(stages.levels.back().padded);
  begin.assign(padded, 0.0);
  rise.assign(padded, 0.0);
  end.assign(padded, 0.0);
}

void RayTracer::Walk::start(Index unit, Index image) {
  drop = 0;
  Index source = unit;
  for (std::size_t k = 0; k < above->levels.size(); ++k) {
    const Above::Level& level = above->levels[k];
    double* values = value.data() + level.offset;
    double* slopes = slope.data() + level.offset;
    const float* golden = level.golden->data() + image * level.units;
    for (Index r = 0; r < level.units; ++r) {
      values[r] = static_cast<double>(golden[r]);
      sign[static_cast<std::size_t>(level.offset + r)] = golden[r] > 0.0F ? 1.0 : -1.0;
    }
    if (k == 0) {
      std::copy_n(level.columns.data() + source * level.padded, level.padded, slopes);
      continue;
    }
    const Above::Level& below = above->levels[k - 1];
    std::fill_n(slopes, level.padded, 0.0);
    for (Index c = 0; c < below.units; ++c) {
      const auto place = static_cast<std::size_t>(below.offset + c);
      if (sign[place] > 0) add(slope[place], level.columns.data() + c * level.padded, level.padded, slopes);
    }
  }
}

std::pair<std::int32_t, double> RayTracer::Walk::winner() const {
  const double* logits = value.data() + above->levels.back().offset;
  std::int32_t best = 0;
  double second = -infinity;
  for (std::int32_t j = 1; j < classes; ++j) {
    if (logits[j] > logits[best]) {
      second = logits[best];
      best = j;
    } else {
      second = std::max(second, logits[j]);
    }
  }
  return {best, logits[best] - second};
}

void RayTracer::Walk::find_kinks(double distance, double limit) {
  kinks.clear();
  if (above->levels.size() < 2) return;
  const double room = limit - distance;
  for (Index r = 0; r < above->levels.front().units; ++r) {
    const auto place = static_cast<std::size_t>(r);
    const double fall = -direction * sign[place] * slope[place];
    const double size = sign[place] * value[place];
    if (fall > 0 && size < fall * room) kinks.push_back({distance + std::max(0.0, size / fall), r});
  }
  std::sort(kinks.begin(), kinks.end(),
            [](const Kink& a, const Kink& b) { return a.at < b.at || (a.at == b.at && a.unit < b.unit); });
}

RayTracer::Walk::Next RayTracer::Walk::next_kink(double most) const {
  if (above->levels.size() < 3) return {most, -1};
  const Index from = above->levels[1].offset;
  const Index to = above->levels.back().offset;
  const Lanes far = Lanes{} + most;
  Lanes step = far;
  Places unit = {-1, -1, -1, -1};
  Places at = {from, from + 1, from + 2, from + 3};
  for (Index v = from; v < to; v += lanes, at += lanes) {
    const Lanes fall = -direction * load(sign.data() + v) * load(slope.data() + v);
    Lanes here = load(sign.data() + v) * load(value.data() + v) / fall;
    here = here > 0.0 ? here : Lanes{};
    const Places nearer = (fall > 0.0) & (here < step);
    step = nearer ? here : step;
    unit = nearer ? at : unit;
  }
  Next next{most, -1};
  for (int lane = 0; lane < lanes; ++lane) {
    if (unit[lane] >= 0 && step[lane] < next.step) next = {step[lane], static_cast<Index>(unit[lane])};
  }
  return next;
}

void RayTracer::Walk::flip(std::size_t k, Index unit) {
  const auto place = static_cast<std::size_t>(above->levels[k].offset + unit);
  sign[place] = -sign[place];
  const double factor = sign[place] * slope[place];
  const Above::Level& next = above->levels[k + 1];
  if (k + 2 == above->levels.size()) {
    add(factor, next.columns.data() + unit * next.padded, next.padded, slope.data() + next.offset);
    return;
  }
  std::copy_n(next.columns.data() + unit * next.padded, next.padded, change.data() + next.offset);
  for (std::size_t m = k + 1;; ++m) {
    const Above::Level& level = above->levels[m];
    const double* moved = change.data() + level.offset;
    add(factor, moved, level.padded, slope.data() + level.offset);
    if (m + 1 == above->levels.size()) return;
    const Above::Level& upper = above->levels[m + 1];
    double* sums = change.data() + upper.offset;
    std::fill_n(sums, upper.padded, 0.0);
    for (Index c = 0; c < level.units; ++c) {
      if (sign[static_cast<std::size_t>(level.offset + c)] > 0)
        add(moved[c], upper.columns.data() + c * upper.padded, upper.padded, sums);
    }
  }
}

bool RayTracer::Walk::run(Rays& rays, std::size_t side, double distance, double limit, std::int32_t label,
                          const Guard& bound) {
  direction = side == 0 ? 1.0 : -1.0;
  find_kinks(distance, limit);
  std::size_t next = 0;
  const Index rest = above->levels.size() < 2 ? 0 : above->levels[1].offset;
  // A unit's slope changes only with kinks below it, so kinks end; the limit is for what rounding may do.
  const Index most_kinks = 1000 + 100 * above->total;
  for (Index count = 0; count < most_kinks; ++count) {
    const bool first = next < kinks.size();
    const double room = (first ? std::max(kinks[next].at, distance) : limit) - distance;
    const Next inner = next_kink(room);
    const double step = inner.step;
    piece(rays, side, distance, step, label, bound);
    add(direction * step, slope.data() + rest, above->total - rest, value.data() + rest);
    if (inner.unit >= 0) {
      distance += step;
      std::size_t level = 1;
      while (inner.unit >= above->levels[level + 1].offset) ++level;
      flip(level, inner.unit - above->levels[level].offset);
    } else if (first) {
      distance = std::max(kinks[next].at, distance);
      flip(0, kinks[next++].unit);
    } else {
      return true;
    }
  }
  return false;
}

void RayTracer::Walk::piece(Rays& rays, std::size_t side, double distance, double length, std::int32_t label,
                            const Guard& bound) {
  const Above::Level& logits = above->levels.back();
  const double* now = value.data() + logits.offset;
  const double* by = slope.data() + logits.offset;
  for (Index v = 0; v < logits.padded; ++v) {
    begin[static_cast<std::size_t>(v)] = now[v];
    rise[static_cast<std::size_t>(v)] = direction * by[v];
    end[static_cast<std::size_t>(v)] = now[v] + direction * by[v] * length;
  }
  predict_piece(rays, side, distance, length, bound);
  drop_piece(rays, side, distance, length, label);
}

void RayTracer::Walk::predict_piece(Rays& rays, std::size_t side, double distance, double length,
                                    const Guard& bound) {
  const auto of = [](const std::vector<double>& values, std::int32_t j) {
    return values[static_cast<std::size_t>(j)];
  };
  std::int32_t best = 0;
  for (std::int32_t j = 1; j < classes; ++j) {
    if (of(begin, j) > of(begin, best) || (of(begin, j) == of(begin, best) && of(rise, j) > of(rise, best)))
      best = j;
  }
  const double before = 2 * (bound.fixed + bound.growing * distance);
  const double growth = 2 * bound.growing;
  double lead_begin = infinity;
  double lead_end = infinity;
  for (std::int32_t j = 0; j < classes; ++j) {
    if (j == best) continue;
    lead_begin = std::min(lead_begin, of(begin, best) - of(begin, j));
    lead_end = std::min(lead_end, of(end, best) - of(end, j));
  }
  // A lead is concave along the piece: decided at both ends, decided between.
  if (lead_begin > before && lead_end > before + growth * length) {
    emit(rays, side, best, distance + length);
    return;
  }
  double at = 0;
  while (true) {
    std::int32_t follower = -1;
    double until = length;
    for (std::int32_t j = 0; j < classes; ++j) {
      if (!(of(rise, j) > of(rise, best))) continue;
      const double meet = std::max(at, (of(begin, best) - of(begin, j)) / (of(rise, j) - of(rise, best)));
      if (meet < until || (follower >= 0 && meet == until && of(rise, j) > of(rise, follower))) {
        until = meet;
        follower = j;
      }
    }
    // Where `best` leads every other by more than the bound: an interval, since leads are linear here.
    double low = at;
    double high = until;
    for (std::int32_t j = 0; j < classes; ++j) {
      if (j == best) continue;
      const double base = of(begin, best) - of(begin, j) - before;
      const double by = of(rise, best) - of(rise, j) - growth;
      const double here = base + by * at;
      const double there = base + by * until;
      if (here > 0 && there > 0) continue;
      if (!(here > 0) && !(there > 0)) {
        high = -1;
      } else if (here > 0) {
        high = std::min(high, at + (until - at) * (here / (here - there)));
      } else {
        low = std::max(low, at + (until - at) * (here / (here - there)));
      }
    }
    if (low < high) {
      emit(rays, side, undecided, distance + low);
      emit(rays, side, best, distance + high);
    }
    emit(rays, side, undecided, distance + until);
    if (follower < 0) return;
    at = until;
    best = follower;
  }
}

void RayTracer::Walk::drop_piece(Rays& rays, std::size_t side, double distance, double length,
                                 std::int32_t label) {
  const auto of = [](const std::vector<double>& values, std::int32_t j) {
    return values[static_cast<std::size_t>(j)];
  };
  std::int32_t rival = label == 0 ? 1 : 0;
  std::int32_t rival_end = rival;
  for (std::int32_t j = rival + 1; j < classes; ++j) {
    if (j == label) continue;
    if (of(begin, j) > of(begin, rival) ||
        (of(begin, j) == of(begin, rival) && of(rise, j) > of(rise, rival)))
      rival = j;
    if (of(end, j) > of(end, rival_end)) rival_end = j;
  }
  double at = 0;
  while (true) {
    std::int32_t follower = -1;
    double until = length;
    for (std::int32_t j = 0; rival != rival_end && j < classes; ++j) {
      if (j == label || !(of(rise, j) > of(rise, rival))) continue;
      const double meet = std::max(at, (of(begin, rival) - of(begin, j)) / (of(rise, j) - of(rise, rival)));
      if (meet < until || (follower >= 0 && meet == until && of(rise, j) > of(rise, follower))) {
        until = meet;
        follower = j;
      }
    }
    drop += (of(rise, rival) - of(rise, label)) * (until - at);
    rays.nodes[side].push_back({distance + until, drop});
    if (follower < 0) return;
    at = until;
    rival = follower;
  }
}

}  // namespace temblor::census
