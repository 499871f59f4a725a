#include "moves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::pbs {
namespace {

constexpr float huge = std::numeric_limits<float>::max();
constexpr Eigen::Index piece = 512;  // weights whose bounds are looked at together

/// Change of a value as gains count it: finite, and to NaN the largest in the gradient's direction.
float change(float before, float after, bool upward) {
  if (!std::isfinite(before)) return 0;
  if (std::isnan(after)) return upward ? huge : -huge;
  return static_cast<float>(std::clamp(static_cast<double>(after) - static_cast<double>(before),
                                       -static_cast<double>(huge), static_cast<double>(huge)));
}

bool before(const Candidate& a, const Candidate& b) {
  if (a.gain != b.gain) return a.gain > b.gain;
  return a.index != b.index ? a.index < b.index : a.bit < b.bit;
}

}  // namespace

LayerWords::LayerWords(const Encoded& clean, bool nonfinite)
    : clean_(&clean),
      nonfinite_(nonfinite),
      words_(clean.codes),
      up_(static_cast<Eigen::Index>(clean.codes.size())),
      down_(static_cast<Eigen::Index>(clean.codes.size())),
      left_(clean.codes.size() * static_cast<std::size_t>(clean.format->bits)) {
  for (std::size_t i = 0; i < words_.size(); ++i) look(i);
}

bool LayerWords::allowed(std::size_t index, unsigned bit, float& after) const {
  if (((words_[index] ^ clean_->codes[index]) >> bit & 1U) != 0) return false;
  after = clean_->decode(index, words_[index] ^ (1U << bit));
  return nonfinite_ || std::isfinite(after);
}

void LayerWords::look(std::size_t index) {
  const float now = value(index);
  float up = 0;
  float down = 0;
  for (unsigned bit = 0; bit < static_cast<unsigned>(clean_->format->bits); ++bit) {
    float after = 0;
    if (!allowed(index, bit, after)) continue;
    up = std::max(up, change(now, after, true));
    down = std::max(down, -change(now, after, false));
  }
  up_[static_cast<Eigen::Index>(index)] = up;
  down_[static_cast<Eigen::Index>(index)] = down;
}

void LayerWords::flip(std::uint32_t index, std::uint32_t bit) {
  words_[index] ^= 1U << bit;
  --left_;
  look(index);
}

std::vector<Candidate> LayerWords::best(const float* gradient, std::size_t count) const {
  std::vector<Candidate> heap;  // the worst of the best in front
  count = std::min(count, left_);
  if (count == 0) return heap;
  heap.reserve(count);
  float least = -std::numeric_limits<float>::infinity();
  const auto bits = static_cast<unsigned>(clean_->format->bits);
  Eigen::Array<float, Eigen::Dynamic, 1, 0, piece, 1> bound;
  for (Eigen::Index first = 0; first < up_.size(); first += piece) {
    const Eigen::Index size = std::min(piece, up_.size() - first);
    const Eigen::Map<const Eigen::ArrayXf> slope(gradient + first, size);
    bound = (slope * up_.segment(first, size)).max(-slope * down_.segment(first, size));
    if (heap.size() == count && bound.maxCoeff() <= least) continue;
    for (Eigen::Index k = 0; k < size; ++k) {
      if (heap.size() == count && bound[k] <= least) continue;
      const auto index = static_cast<std::uint32_t>(first + k);
      const float now = value(index);
      for (unsigned bit = 0; bit < bits; ++bit) {
        float after = 0;
        if (!allowed(index, bit, after)) continue;
        const Candidate candidate{slope[k] * change(now, after, slope[k] > 0), index, bit};
        if (heap.size() == count) {
          if (!before(candidate, heap.front())) continue;
          std::pop_heap(heap.begin(), heap.end(), before);
          heap.pop_back();
        }
        heap.push_back(candidate);
        std::push_heap(heap.begin(), heap.end(), before);
        if (heap.size() == count) least = heap.front().gain;
      }
    }
  }
  std::sort_heap(heap.begin(), heap.end(), before);
  return heap;
}

}  // namespace temblor::pbs
