#include "chain.hpp"
#include "tally.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace temblor {
namespace {

using State = Evaluator::Scratch::State;
using Stage = Chain::Stage;

constexpr float unit_roundoff = 0x1p-24F;
/// Changes beyond this may make sums overflow in one order of additions and not in another.
constexpr double largest_change = 2.5e38;
constexpr Index strip = 1024;  // images whose temporaries stay in the first-level cache

/// All changes of one unit.
struct Moved {
  Index unit;
  std::span<const Change> changes;
};

const Weights& weights_of(const Baseline& base, const Stage& stage) {
  return base.network.weights(base.network.nodes()[static_cast<std::size_t>(stage.node)].weights);
}

/// What the shortcut works on: one stage and the units that move in it.
struct Work {
  const Baseline& base;
  const Chain& chain;
  std::size_t index;  ///< of the stage
  std::vector<Moved> moved;

  const Stage& stage() const { return chain.stages[index]; }
  bool last() const { return index + 1 == chain.stages.size(); }
  float change(const Change& of) const {
    return of.after - weights_of(base, stage()).weight.data()[of.index];
  }
  Index input_of(const Change& of) const { return static_cast<Index>(of.index) % stage().input.rows(); }
};

/// Where sums of the perturbed network may overflow in one order of additions and not in another.
enum class Overflow { nowhere, above, here };

Overflow overflow(const Work& work) {
  const std::vector<Stage>& stages = work.chain.stages;
  double total = 0;
  VectorD spread;  // largest magnitude by which the next stage's sums grow
  for (const Moved& moved : work.moved) {
    double size = 0;
    for (const Change& change : moved.changes) {
      const auto input = static_cast<std::size_t>(work.input_of(change));
      size += std::fabs(static_cast<double>(work.change(change))) *
              static_cast<double>(work.stage().input_max[input]);
    }
    if (!(size < largest_change)) return Overflow::here;
    total += size;
  }
  if (total * work.stage().growth < largest_change) return Overflow::nowhere;
  for (std::size_t k = work.index; k + 1 < stages.size(); ++k) {
    const MatrixD weight = weights_of(work.base, stages[k + 1]).weight.cast<double>().cwiseAbs();
    if (k == work.index) {
      spread = VectorD::Zero(weight.rows());
      for (const Moved& moved : work.moved) spread += total * weight.col(moved.unit);
    } else {
      spread = weight * spread;
    }
    if (!(spread.maxCoeff() < largest_change)) return Overflow::above;
  }
  return Overflow::nowhere;
}

/// Temporaries of a strip of images.
struct Strip {
  float value[strip];   ///< of one unit after the activation
  float change[strip];  ///< of one unit
  float size[strip];
  float low[strip];
  float high[strip];
  float bound[strip];  ///< error bound of the logits
  std::int32_t notices[strip];
  std::int32_t keep[strip];
};

/// Moves one unit for images [first, first + count): its new value and change, and what it adds to the error
/// bound.
void move_unit(const Work& work, const Moved& moved, Index first, Index count, Strip& at) {
  const Stage& stage = work.stage();
  const auto unit = static_cast<std::size_t>(moved.unit);
  std::copy_n(&stage.before(moved.unit, first), count, at.value);
  std::fill_n(at.size, count, 0.0F);
  for (const Change& one : moved.changes) {
    const float delta = work.change(one);
    const float* input = &stage.input(work.input_of(one), first);
    for (Index n = 0; n < count; ++n) {
      at.value[n] += delta * input[n];
      at.size[n] += std::fabs(delta * input[n]);
      at.notices[n] |= input[n] != 0.0F ? 1 : 0;
    }
  }
  const auto changes = static_cast<float>(moved.changes.size());
  const float steps = static_cast<float>(stage.input.rows()) + changes + 2;
  const float* path = &stage.path(moved.unit, first);
  for (Index n = 0; n < count; ++n) {
    at.size[n] = unit_roundoff * (2 * path[n] + steps * at.size[n] + (changes + 2) * std::fabs(at.value[n]));
    at.low[n] = at.value[n] - at.size[n];
    at.high[n] = at.value[n] + at.size[n];
  }
  if (stage.activation != nullptr) {
    stage.activation->apply(at.value, count);
    stage.activation->apply(at.low, count);
    stage.activation->apply(at.high, count);
  }
  const float* golden = &work.chain.after(work.index)(moved.unit, first);
  const float above = stage.factor_above;
  const float reach = stage.reach[unit];
  for (Index n = 0; n < count; ++n) {
    at.change[n] = at.value[n] - golden[n];
    // A monotone activation may be flatter than its Lipschitz constant: no error where a ReLU stays dead.
    const float error = std::min(at.size[n], at.high[n] - at.low[n]);
    at.bound[n] +=
        reach * (error + 16 * unit_roundoff * std::fabs(at.value[n]) + above * std::fabs(at.change[n]));
    at.keep[n] |= at.change[n] != 0.0F ? 1 : 0;
  }
}

/// Finds the affected images: state.rows, state.bound, and per unit state.change (the last layer: the new
/// value). Images that notice but do not move are kept when rounding alone could move their prediction.
void find_affected(const Work& work, State& state) {
  const auto images = static_cast<std::size_t>(work.base.data.size());
  const std::size_t units = work.moved.size();
  state.rows.resize(images);
  state.bound.resize(images);
  state.change.resize(units * images);
  state.strip.resize(units * static_cast<std::size_t>(strip));
  Strip at;
  std::size_t found = 0;
  for (Index first = 0; first < work.base.data.size(); first += strip) {
    const Index count = std::min(strip, work.base.data.size() - first);
    std::copy_n(work.stage().rounding.data() + first, count, at.bound);
    std::fill_n(at.notices, count, 0);
    std::fill_n(at.keep, count, 0);
    for (std::size_t u = 0; u < units; ++u) {
      move_unit(work, work.moved[u], first, count, at);
      std::copy_n(work.last() ? at.value : at.change, count,
                  state.strip.data() + u * static_cast<std::size_t>(strip));
    }
    const float* gap = work.chain.gap.data() + first;
    for (Index n = 0; n < count; ++n) {
      at.bound[n] *= 1.05F;
      at.keep[n] |= at.notices[n] & (gap[n] <= 2 * at.bound[n] ? 1 : 0);
    }
    const std::size_t kept = found;
    for (Index n = 0; n < count; ++n) {
      state.rows[found] = static_cast<std::int32_t>(first + n);
      state.bound[found] = at.bound[n];
      found += static_cast<std::size_t>(at.keep[n]);
    }
    for (std::size_t u = 0; u < units; ++u) {
      const float* from = state.strip.data() + u * static_cast<std::size_t>(strip);
      float* to = state.change.data() + u * images;
      for (std::size_t r = kept; r < found; ++r) to[r] = from[state.rows[r] - first];
    }
  }
  state.rows.resize(found);
}

/// Logits of the affected images when the last layer's units moved: the new values replace the golden ones.
void replace_logits(const Work& work, State& state) {
  const Matrix& golden = work.base.golden.logits();
  const auto images = static_cast<std::size_t>(work.base.data.size());
  float* to = state.logits.data();
  for (std::size_t r = 0; r < state.rows.size(); ++r, to += golden.cols()) {
    std::copy_n(golden.data() + state.rows[r] * golden.cols(), golden.cols(), to);
    for (std::size_t u = 0; u < work.moved.size(); ++u) to[work.moved[u].unit] = state.change[u * images + r];
  }
}

/// Logits of the affected images: a rank-1 change a unit of the next layer's outputs, then the layers above
/// in full.
void carry_up(const Work& work, State& state) {
  const std::vector<Stage>& stages = work.chain.stages;
  const Stage& next = stages[work.index + 1];
  const Matrix& golden = *next.outputs;
  const Matrix& weight = weights_of(work.base, next).weight;
  const Index outputs = golden.cols();
  const auto images = static_cast<std::size_t>(work.base.data.size());
  const Index classes = work.base.network.classes();
  Index widest = 0;
  for (const Stage& stage : stages) widest = std::max(widest, stage.before.rows());
  state.ping.resize(static_cast<std::size_t>(BlockRunner::block * widest));
  state.pong.resize(state.ping.size());
  state.columns.resize(work.moved.size() * static_cast<std::size_t>(outputs));
  for (std::size_t u = 0; u < work.moved.size(); ++u) {
    for (Index i = 0; i < outputs; ++i)
      state.columns[u * static_cast<std::size_t>(outputs) + static_cast<std::size_t>(i)] =
          weight(i, work.moved[u].unit);
  }
  const auto total = static_cast<Index>(state.rows.size());
  for (Index first = 0; first < total; first += BlockRunner::block) {
    const Index count = std::min(BlockRunner::block, total - first);
    float* here = state.ping.data();
    float* there = state.pong.data();
    for (Index r = 0; r < count; ++r) {
      const auto row = static_cast<std::size_t>(first + r);
      const float* from = golden.data() + state.rows[row] * outputs;
      float* to = here + r * outputs;
      const float by = state.change[row];
      const float* column = state.columns.data();
      for (Index i = 0; i < outputs; ++i) to[i] = from[i] + by * column[i];
      for (std::size_t u = 1; u < work.moved.size(); ++u) {
        const float more = state.change[u * images + row];
        column += outputs;
        for (Index i = 0; i < outputs; ++i) to[i] += more * column[i];
      }
    }
    for (std::size_t k = work.index + 1; k < stages.size(); ++k) {
      const Index width = stages[k].before.rows();
      if (k > work.index + 1) {
        const Index below = stages[k - 1].before.rows();
        const auto layer = static_cast<std::size_t>(
            work.base.network.nodes()[static_cast<std::size_t>(stages[k].node)].weights);
        work.base.tables.packed[layer].multiply({here, below, nullptr}, count, there, width);
        std::swap(here, there);
      }
      if (stages[k].activation != nullptr) stages[k].activation->apply(here, count * width);
    }
    std::copy_n(here, count * classes, state.logits.data() + first * classes);
  }
}

/// Whether logits that may be off by bound * inexact[j] (0 or 1) leave the prediction, or the golden class's
/// place among the first five, open. Exact logits compare exactly, ties included.
bool undecided(const float* logits, const float* inexact, Index classes, float bound, std::int32_t golden) {
  Index best = 0;
  for (Index j = 1; j < classes; ++j) best = logits[j] > logits[best] ? j : best;
  const auto open = [&](Index a, Index b) {
    const float width = bound * (inexact[a] + inexact[b]);
    return width > 0 && !(std::fabs(logits[a] - logits[b]) > width);
  };
  bool any = false;
  for (Index j = 0; j < classes; ++j) any = any || (j != best && open(best, j));
  if (any) return true;
  if (best == golden || classes <= 5) return false;
  Index surely = 0;
  Index perhaps = 0;
  for (Index j = 0; j < classes; ++j) {
    if (j == golden) continue;
    const bool before = logits[j] > logits[golden] || (logits[j] == logits[golden] && j < golden);
    surely += before && !open(j, golden) ? 1 : 0;
    perhaps += before || open(j, golden) ? 1 : 0;
  }
  return surely < 5 && perhaps >= 5;
}

/// Infers undecided images exactly, or all affected ones.
void decide(const Work& work, const SparseDelta& delta, bool all, State& state) {
  const Index classes = work.base.network.classes();
  state.inexact.assign(static_cast<std::size_t>(classes), work.last() ? 0.0F : 1.0F);
  if (work.last()) {
    for (const Index unit : state.units) state.inexact[static_cast<std::size_t>(unit)] = 1.0F;
  }
  state.affected.swap(state.rows);
  state.rows.clear();
  state.places.clear();
  for (std::size_t r = 0; r < state.affected.size(); ++r) {
    const std::int32_t row = state.affected[r];
    const float* logits = state.logits.data() + static_cast<Index>(r) * classes;
    if (!all && !undecided(logits, state.inexact.data(), classes, state.bound[r],
                           work.base.golden.prediction[static_cast<std::size_t>(row)]))
      continue;
    state.rows.push_back(row);
    state.places.push_back(static_cast<Index>(r));
  }
  if (!state.rows.empty()) {
    const WeightView& view = state.workspace.apply(delta);
    const int layer = static_cast<int>(delta.changes.front().layer);
    compute_units(work.base, view, layer, state, work.stage().inputs.get());
    state.exact.resize(state.rows.size() * static_cast<std::size_t>(classes));
    infer_rows(work.base, view, layer, state, state.exact.data());
    state.workspace.undo();
    for (std::size_t r = 0; r < state.places.size(); ++r)
      std::copy_n(state.exact.data() + static_cast<Index>(r) * classes, classes,
                  state.logits.data() + state.places[r] * classes);
  }
  state.affected.swap(state.rows);
}

}  // namespace

bool infer_changes(const Baseline& base, const Chain& chain, const SparseDelta& delta, State& state,
                   Tally& tally) {
  const int node = base.network.node_of(static_cast<int>(delta.changes.front().layer));
  Work work{base, chain, 0, {}};
  while (work.index < chain.stages.size() && work.stage().node != node) ++work.index;
  if (work.index == chain.stages.size()) return false;
  const Index inputs = work.stage().input.rows();
  state.units.clear();
  for (auto from = delta.changes.begin(); from != delta.changes.end();) {
    const Index unit = static_cast<Index>(from->index) / inputs;
    const auto to = std::find_if(from, delta.changes.end(), [&](const Change& change) {
      return static_cast<Index>(change.index) / inputs != unit;
    });
    work.moved.push_back({unit, {from, to}});
    state.units.push_back(unit);
    from = to;
  }
  const Overflow where = overflow(work);
  if (where == Overflow::here) return false;
  find_affected(work, state);
  const Index classes = base.network.classes();
  state.logits.resize(state.rows.size() * static_cast<std::size_t>(classes));
  if (work.last()) {
    replace_logits(work, state);
  } else if (where == Overflow::nowhere) {
    carry_up(work, state);
  }
  decide(work, delta, where != Overflow::nowhere, state);
  for (std::size_t r = 0; r < state.rows.size(); ++r)
    tally.add(state.rows[r], state.logits.data() + static_cast<Index>(r) * classes);
  return true;
}

}  // namespace temblor
