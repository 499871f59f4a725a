#include "tally.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/base/error.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

bool is_finite(float value) {
  return value - value == 0.0F;
}

bool all_finite(const float* logits, Index classes) {
  bool finite = true;
  for (Index j = 0; j < classes; ++j) finite = finite && is_finite(logits[j]);
  return finite;
}

/// Index of the largest, lowest on ties, without NaN.
std::int32_t largest(const float* logits, Index classes) {
  Index best = 0;
  for (Index j = 1; j < classes; ++j) best = logits[j] > logits[best] ? j : best;
  return static_cast<std::int32_t>(best);
}

/// Classes that precede class `of` in the order of falling logits, the lower index first on ties.
Index place(const float* logits, Index classes, std::int32_t of) {
  Index before = 0;
  for (Index j = 0; j < classes; ++j)
    before += logits[j] > logits[of] || (logits[j] == logits[of] && j < of) ? 1 : 0;
  return before;
}

double finite_margin(const float* logits, Index classes, std::int32_t label) {
  float other = -std::numeric_limits<float>::infinity();
  for (Index j = 0; j < classes; ++j) other = j != label ? std::max(other, logits[j]) : other;
  return static_cast<double>(logits[label]) - static_cast<double>(other);
}

}  // namespace

std::int32_t predict(const float* logits, Index classes) {
  return all_finite(logits, classes) ? largest(logits, classes) : -1;
}

double margin(const float* logits, Index classes, std::int32_t label) {
  return all_finite(logits, classes) ? finite_margin(logits, classes, label)
                                     : std::numeric_limits<double>::quiet_NaN();
}

std::int32_t argmax(const float* logits, Index classes) {
  for (Index j = 0; j < classes; ++j) {
    if (std::isnan(logits[j])) return static_cast<std::int32_t>(j);
  }
  return largest(logits, classes);
}

Tally::Tally(const Golden& golden, const Dataset& data, std::uint64_t owner, TrialSamples& samples)
    : golden_(&golden), data_(&data), samples_(&samples) {
  const auto images = static_cast<std::size_t>(data.size());
  if (samples.owner != owner || samples.drop.size() != images || samples.pair_drop.size() != images ||
      samples.pair_class.size() != images) {
    samples.drop.assign(images, 0.0);
    samples.pair_drop.assign(images, 0.0);
    samples.pair_class.resize(images);
    std::transform(data.labels.begin(), data.labels.end(), samples.pair_class.begin(), other_class);
    samples.affected.reserve(images);
    samples.owner = owner;
  } else {
    for (const std::int32_t row : samples.affected) {
      const auto n = static_cast<std::size_t>(row);
      samples.drop[n] = 0;
      samples.pair_drop[n] = 0;
      samples.pair_class[n] = other_class(data.labels[n]);
    }
  }
  samples.affected.clear();
  counts_.correct = golden.correct;
  counts_.argmax_correct = golden.argmax_correct;
  counts_.no_prediction = golden.no_prediction;
  counts_.drop_max = -infinity;
}

void Tally::count(std::int32_t row, const float* logits, bool finite, std::int32_t prediction) {
  const auto n = static_cast<std::size_t>(row);
  const Index classes = golden_->logits().cols();
  const std::int32_t label = data_->labels[n];
  const std::int32_t before = golden_->prediction[n];
  const bool was_right = before == label;
  const bool right = prediction == label;
  counts_.correct += (right ? 1 : 0) - (was_right ? 1 : 0);
  counts_.broken += was_right && !right ? 1 : 0;
  counts_.fixed += !was_right && right ? 1 : 0;
  if (finite && prediction != before) {
    ++counts_.changed;
    counts_.changed_top5 += before < 0 || place(logits, classes, before) >= 5 ? 1 : 0;
  }
  const float* golden = golden_->logits().data() + row * classes;
  const bool argmax_was_right = before >= 0 ? was_right : argmax(golden, classes) == label;
  const bool argmax_right = finite ? right : argmax(logits, classes) == label;
  counts_.argmax_correct += (argmax_right ? 1 : 0) - (argmax_was_right ? 1 : 0);
  counts_.no_prediction += (finite ? 0 : 1) - (before < 0 ? 1 : 0);
}

void Tally::add(std::int32_t row, const float* logits) {
  const auto n = static_cast<std::size_t>(row);
  const Index classes = golden_->logits().cols();
  const float* golden = golden_->logits().data() + row * classes;
  const std::int32_t label = data_->labels[n];
  const bool finite = all_finite(logits, classes);
  count(row, logits, finite, finite ? largest(logits, classes) : -1);

  double drop = infinity;
  double pair_drop = infinity;
  std::int32_t pair_class = other_class(label);
  if (finite && golden_->prediction[n] >= 0) {
    drop = golden_->margin[n] - finite_margin(logits, classes, label);
    pair_drop = -infinity;
    const double own = static_cast<double>(golden[label]);
    const double now = static_cast<double>(logits[label]);
    for (std::int32_t j = 0; j < static_cast<std::int32_t>(classes); ++j) {
      const double fall = (own - static_cast<double>(golden[j])) - (now - static_cast<double>(logits[j]));
      if (j != label && fall > pair_drop) {
        pair_drop = fall;
        pair_class = j;
      }
    }
  }
  if (drop < infinity) counts_.drop_sum += drop;
  if (drop > counts_.drop_max) {
    counts_.drop_max = drop;
    counts_.worst_sample = row;
  }
  samples_->drop[n] = drop;
  samples_->pair_drop[n] = pair_drop;
  samples_->pair_class[n] = pair_class;
  samples_->affected.push_back(row);
}

TrialCounts Tally::finish() {
  const std::vector<std::int32_t>& rows = samples_->affected;
  ensure(std::is_sorted(rows.begin(), rows.end()), "images are folded in index order");
  std::int32_t untouched = 0;  // the lowest image with its golden logits
  for (const std::int32_t row : rows) {
    if (row != untouched) break;
    ++untouched;
  }
  if (untouched < data_->size() &&
      (counts_.drop_max < 0 || (counts_.drop_max == 0 && untouched < counts_.worst_sample))) {
    counts_.drop_max = 0;
    counts_.worst_sample = untouched;
  }
  return counts_;
}

}  // namespace temblor
