#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <unordered_map>

#include <temblor/base/error.hpp>
#include <temblor/perturb/flips.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
/// Patterns of a code that are worth trying for every distinct code.
constexpr std::int64_t most_patterns = 1 << 12;

struct Reach {
  std::vector<double> up;
  std::vector<double> down;
};

bool has_exponent(const Format& format) {
  return std::any_of(format.fields.begin(), format.fields.end(),
                     [](const BitField& field) { return field.name == "exponent"; });
}

// The highest bit is the sign, and the other bits are ordered as the magnitudes are.
bool ordered_float(const Format& format) {
  return has_exponent(format) && format.fields.front().name == "sign" &&
         format.fields.front().low == format.bits - 1;
}

// Patterns of at most `flips` of `bits` bits, as far as they are worth counting.
std::int64_t patterns(int bits, std::int64_t flips) {
  std::int64_t total = 0, choose = 1;
  for (int t = 1; t <= std::min<std::int64_t>(flips, bits) && total <= most_patterns; ++t) {
    choose = choose * (bits - t + 1) / t;
    total += choose;
  }
  return total;
}

double move(double from, double to) {
  return std::isfinite(to) ? to - from : infinity;
}

/// Largest rise and fall with 1, 2, .. flips.
Reach try_patterns(const Encoded& encoded, std::uint32_t code, std::int64_t flips, std::uint32_t mask) {
  const auto count = static_cast<std::size_t>(std::min<std::int64_t>(flips, std::popcount(mask)));
  Reach reach{std::vector<double>(count, 0), std::vector<double>(count, 0)};
  const double clean = encoded.format->decode(encoded, code, 0);
  // Every non-empty subset of the mask, smallest last.
  for (std::uint32_t pattern = mask; pattern != 0; pattern = (pattern - 1) & mask) {
    const auto size = static_cast<std::size_t>(std::popcount(pattern));
    if (size > count) continue;
    const double value = encoded.format->decode(encoded, code ^ pattern, 0);
    double& up = reach.up[size - 1];
    double& down = reach.down[size - 1];
    up = std::max(up, move(clean, value));
    down = std::max(down, std::isfinite(value) ? clean - value : infinity);
  }
  return reach;
}

/// The code of sign bit `negative` and largest (smallest) magnitude with at most `flips` flips within `mask`.
std::uint32_t extreme(std::uint32_t code, int bits, bool negative, bool largest, std::int64_t flips,
                      std::uint32_t mask) {
  const std::uint32_t sign = std::uint32_t{1} << (bits - 1);
  if (((code & sign) != 0) != negative) {
    if ((mask & sign) == 0) return code;
    code ^= sign;
    --flips;
  }
  for (int b = bits - 2; b >= 0 && flips > 0; --b) {
    const std::uint32_t bit = std::uint32_t{1} << b;
    if ((mask & bit) == 0 || ((code & bit) != 0) == largest) continue;
    code ^= bit;
    --flips;
  }
  return code;
}

Reach order_of_floats(const Encoded& encoded, std::uint32_t code, std::int64_t flips, std::uint32_t mask) {
  const auto count = static_cast<std::size_t>(std::min<std::int64_t>(flips, std::popcount(mask)));
  Reach reach{std::vector<double>(count, 0), std::vector<double>(count, 0)};
  const double clean = encoded.format->decode(encoded, code, 0);
  const int bits = encoded.format->bits;
  for (std::size_t t = 0; t < count; ++t) {
    for (const bool negative : {false, true}) {
      for (const bool largest : {false, true}) {
        const auto after = extreme(code, bits, negative, largest, static_cast<std::int64_t>(t + 1), mask);
        const double value = encoded.format->decode(encoded, after, 0);
        reach.up[t] = std::max(reach.up[t], move(clean, value));
        reach.down[t] = std::max(reach.down[t], std::isfinite(value) ? clean - value : infinity);
      }
    }
  }
  return reach;
}

// One number a level, each the same, whose sums are never below the moves.
void level(std::vector<double>& moves) {
  double mean = 0;
  for (std::size_t t = 0; t < moves.size(); ++t) {
    mean = std::max(mean, moves[t] / static_cast<double>(t + 1));
  }
  // 2^-52: the division, and the difference of two floats, which double may have to round.
  std::fill(moves.begin(), moves.end(), mean * (1 + 0x1p-50));
}

Reach single_moves(const Encoded& encoded, std::uint32_t code, std::size_t row, std::int64_t flips,
                   std::uint32_t mask) {
  const Format& format = *encoded.format;
  const double clean = format.decode(encoded, code, row);
  const double step = encoded.scale[encoded.scale.size() == 1 ? 0 : row];
  // Two decoded values, each of at most 2^(bits+1) steps, rounded to float.
  const double rounding = std::ldexp(step, format.bits + 2 - 24) + 0x1p-148;
  Reach reach;
  for (int b = 0; b < format.bits; ++b) {
    const std::uint32_t bit = std::uint32_t{1} << b;
    if ((mask & bit) == 0) continue;
    const double value = format.decode(encoded, code ^ bit, row);
    if (!std::isfinite(value)) {
      reach.up.push_back(infinity);
      reach.down.push_back(infinity);
      continue;
    }
    const double change = value - clean;
    reach.up.push_back(step > 0 && change > 0 ? change + rounding : 0);
    reach.down.push_back(step > 0 && change < 0 ? rounding - change : 0);
  }
  for (auto* moves : {&reach.up, &reach.down}) {
    std::sort(moves->begin(), moves->end(), std::greater<>());
    moves->resize(static_cast<std::size_t>(std::min<std::int64_t>(flips, std::popcount(mask))));
  }
  return reach;
}

void compare(FlipReach& reach) {
  for (std::size_t t = 0; t < reach.levels(); ++t)
    reach.either.push_back(reach.up[t].cwiseMax(reach.down[t]));
  if (reach.levels() == 0) return;
  reach.largest_up = reach.up[0].rowwise().maxCoeff();
  reach.largest_down = reach.down[0].rowwise().maxCoeff();
  reach.largest_either = reach.either[0].rowwise().maxCoeff();
}

}  // namespace

bool FlipReach::finite() const {
  return std::all_of(either.begin(), either.end(), [](const MatrixD& level) { return level.allFinite(); });
}

void FlipReach::scale(double factor) {
  for (auto* levels : {&up, &down, &either}) {
    for (auto& level : *levels) level *= factor;
  }
  for (auto* largest : {&largest_up, &largest_down, &largest_either}) *largest *= factor;
}

std::string refuses_flips(const Format& format, std::int64_t flips) {
  if (format.scaled || ordered_float(format) || patterns(format.bits, flips) <= most_patterns) return {};
  return "format " + format.name + " has too many patterns of " + std::to_string(flips) +
         " flips in one code";
}

FlipReach flip_reach(const Encoded& encoded, std::int64_t flips, std::uint32_t mask) {
  const Format& format = *encoded.format;
  ensure(flips >= 0 && refuses_flips(format, flips).empty(), "flips of this format can be followed");
  const auto levels = static_cast<std::size_t>(std::min<std::int64_t>(flips, std::popcount(mask)));
  const auto rows = static_cast<Index>(encoded.rows);
  const auto cols = static_cast<Index>(encoded.cols);
  FlipReach result{std::vector<MatrixD>(levels, MatrixD(rows, cols)), {}};
  result.down = result.up;
  std::unordered_map<std::uint32_t, Reach> known;
  for (std::size_t i = 0; i < encoded.codes.size(); ++i) {
    const std::uint32_t code = encoded.codes[i];
    Reach own;
    const Reach* reach = &own;
    if (format.scaled) {
      own = single_moves(encoded, code, i / encoded.cols, flips, mask);
    } else {
      const auto [entry, fresh] = known.try_emplace(code);
      if (fresh) {
        entry->second = ordered_float(format) && format.bits > 8 ? order_of_floats(encoded, code, flips, mask)
                                                                 : try_patterns(encoded, code, flips, mask);
        level(entry->second.up);
        level(entry->second.down);
      }
      reach = &entry->second;
    }
    for (std::size_t t = 0; t < levels; ++t) {
      result.up[t].data()[i] = reach->up[t];
      result.down[t].data()[i] = reach->down[t];
    }
  }
  compare(result);
  return result;
}

}  // namespace temblor
