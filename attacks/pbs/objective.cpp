#include "objective.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor::pbs {
namespace {

using Row = Eigen::Map<const Eigen::ArrayXf>;

Index largest(const Row& row) {
  Index top = 0;
  for (Index j = 1; j < row.size(); ++j) top = row[j] > row[top] ? j : top;
  return top;
}

/// Cross-entropy of one image; its gradient times `share` into `to`, where wanted.
double cross_entropy(const Row& row, Index top, Index label, double share, float* to) {
  thread_local Eigen::ArrayXf odds;
  odds = (row - row[top]).exp();
  const float sum = odds.sum();
  if (to != nullptr) {
    Eigen::Map<Eigen::ArrayXf>(to, row.size()) = odds * (static_cast<float>(share) / sum);
    to[label] -= static_cast<float>(share);
  }
  return std::log(static_cast<double>(sum)) + static_cast<double>(row[top]) - static_cast<double>(row[label]);
}

/// max(0, margin - lead of the target); its gradient times `share`.
double shortfall(const Row& row, Index target, double margin, double share, float* to) {
  Index rival = target == 0 ? 1 : 0;
  for (Index j = 0; j < row.size(); ++j) {
    if (j != target && row[j] > row[rival]) rival = j;
  }
  const double short_by = margin + static_cast<double>(row[rival]) - static_cast<double>(row[target]);
  if (short_by <= 0) return 0;
  if (to != nullptr) {
    to[rival] = static_cast<float>(share);
    to[target] = -static_cast<float>(share);
  }
  return short_by;
}

}  // namespace

FlipEffect effect_of(const Batch& batch, const Score& score) {
  return {batch.targeted() ? 0 - score.value : score.value, score.correct, score.hits};
}

double highest(const Batch& batch, const Score& score, Index next) {
  if (batch.targeted()) return score.value;
  if (batch.cap <= 0) return std::numeric_limits<double>::infinity();
  const double left = static_cast<double>(batch.images.rows() - next) / static_cast<double>(batch.attacked);
  return score.value + left * batch.cap + 1e-9 * (std::abs(score.value) + batch.cap);
}

void add_rows(const Batch& batch, const RowsView& logits, Index classes, Index first, Index count,
              Score& score, Matrix* gradient) {
  const Index kept = batch.images.rows() - batch.attacked;
  const double sign = batch.targeted() ? -1 : 1;
  for (Index r = 0; r < count; ++r) {
    const Row row(logits.row(r), classes);
    const Index n = first + r;
    const Index label = batch.labels[static_cast<std::size_t>(n)];
    const bool attacked = n < batch.attacked;
    const double share = sign * (attacked ? 1.0 / static_cast<double>(batch.attacked)
                                          : batch.keep / static_cast<double>(kept));
    float* to = gradient == nullptr ? nullptr : gradient->data() + n * classes;
    if (to != nullptr) std::fill_n(to, classes, 0.0F);
    // A sum is finite where all its terms are, and hardly ever otherwise.
    if (!std::isfinite(row.sum()) && !row.isFinite().all()) {
      score.finite = false;
      if (share != 0) {
        score.value += !batch.targeted() && batch.cap > 0 ? share * batch.cap
                                                          : sign * std::numeric_limits<double>::infinity();
      }
      score.hits += attacked && !batch.targeted();
      continue;
    }
    const Index top = largest(row);
    double loss = 0;
    if (attacked && batch.aim == Aim::margin) {
      loss = shortfall(row, batch.target, batch.margin, share, to);
      score.hits += top == batch.target && loss == 0;
    } else {
      loss = cross_entropy(row, top, attacked && batch.targeted() ? batch.target : label, share, to);
      score.hits += attacked && (batch.targeted() ? top == batch.target : top != label);
    }
    if (!batch.targeted() && batch.cap > 0 && loss > batch.cap) {
      loss = batch.cap;
      if (to != nullptr) std::fill_n(to, classes, 0.0F);
    }
    score.correct += n >= batch.first_kept() && top == label;
    score.value += share * loss;
  }
}

}  // namespace temblor::pbs
