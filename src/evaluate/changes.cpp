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
/// Sums beyond this may overflow in one order of additions and not in another; golden sums are at most as
/// large.
constexpr double largest_sum = 1e38;
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

/// Whether every sum of the perturbed network, in any order, stays far from overflow.
bool bounded(const Work& work) {
  const std::vector<Stage>& stages = work.chain.stages;
  double largest = 0;
  VectorD spread;  // largest magnitude by which the next stage's sums grow
  for (const Moved& moved : work.moved) {
    double size = 0;
    for (const Change& change : moved.changes) {
      const auto input = static_cast<std::size_t>(work.input_of(change));
      size += std::fabs(static_cast<double>(work.change(change))) *
              static_cast<double>(work.stage().input_max[input]);
    }
    if (!(size < largest_sum)) return false;
    largest += size;
    if (work.last()) continue;
    const auto column = weights_of(work.base, stages[work.index + 1]).weight.col(moved.unit);
    if (spread.size() == 0) spread = VectorD::Zero(column.size());
    spread += size * column.cast<double>().cwiseAbs();
  }
  if (largest * work.stage().growth < largest_sum) return true;
  for (std::size_t k = work.index; k + 1 < stages.size(); ++k) {
    if (k > work.index)
      spread = weights_of(work.base, stages[k + 1]).weight.cast<double>().cwiseAbs() * spread;
    if (!(spread.maxCoeff() < largest_sum)) return false;
  }
  return true;
}

/// New output of one unit (after the activation) for images [first, first + count), its change, the error
/// bound of the logits added to `bound`, and whether the image notices at all.
void move_strip(const Work& work, const Moved& moved, Index first, Index count, float* value, float* change,
                float* bound, unsigned char* notices) {
  const Stage& stage = work.stage();
  const auto unit = static_cast<std::size_t>(moved.unit);
  const Weights& weights = weights_of(work.base, stage);
  const float bias = weights.bias.size() != 0 ? std::fabs(weights.bias(moved.unit)) : 0.0F;
  const float norm = stage.row_norm[unit];
  const float* input_norm = stage.input_norm.data() + first;
  std::copy_n(&stage.before(moved.unit, first), count, value);
  float* size = change;  // S + D, until the change itself is known
  for (Index n = 0; n < count; ++n) size[n] = norm * input_norm[n] + bias;
  for (const Change& one : moved.changes) {
    const float delta = work.change(one);
    const float reach = std::fabs(delta);
    const float* input = &stage.input(work.input_of(one), first);
    for (Index n = 0; n < count; ++n) {
      value[n] += delta * input[n];
      size[n] += reach * std::fabs(input[n]);
      notices[n] = static_cast<unsigned char>(notices[n] | (input[n] != 0.0F ? 1 : 0));
    }
  }
  if (stage.activation != nullptr) stage.activation->apply(value, count);
  const float* golden = &work.chain.after(work.index)(moved.unit, first);
  const float kappa = stage.kappa;
  const float above = stage.kappa_above;
  const float reach = stage.reach[unit];
  for (Index n = 0; n < count; ++n) {
    const float by = value[n] - golden[n];
    const float error = kappa * size[n] + 16 * unit_roundoff * std::fabs(value[n]) + above * std::fabs(by);
    bound[n] += reach * error;
    change[n] = by;
  }
}

/// Finds the affected images: state.rows, state.bound, and per unit state.change (the last layer: the new
/// value).
void find_affected(const Work& work, State& state) {
  const auto images = static_cast<std::size_t>(work.base.data.size());
  const std::size_t units = work.moved.size();
  state.rows.resize(images);
  state.bound.resize(images);
  state.change.resize(units * images);
  state.strip.resize(2 * units * static_cast<std::size_t>(strip));
  float bound[strip];
  unsigned char flags[strip];
  std::size_t found = 0;
  for (Index first = 0; first < work.base.data.size(); first += strip) {
    const Index count = std::min(strip, work.base.data.size() - first);
    std::copy_n(work.stage().rounding.data() + first, count, bound);
    std::fill_n(flags, count, static_cast<unsigned char>(0));
    for (std::size_t u = 0; u < units; ++u) {
      float* value = state.strip.data() + 2 * u * static_cast<std::size_t>(strip);
      move_strip(work, work.moved[u], first, count, value, value + strip, bound, flags);
    }
    const float* gap = work.chain.gap.data() + first;
    for (Index n = 0; n < count; ++n) {
      bound[n] *= 1.05F;
      flags[n] = static_cast<unsigned char>(flags[n] & (gap[n] <= 2 * bound[n] ? 1 : 0));
    }
    for (std::size_t u = 0; u < units; ++u) {
      const float* change = state.strip.data() + (2 * u + 1) * static_cast<std::size_t>(strip);
      for (Index n = 0; n < count; ++n)
        flags[n] = static_cast<unsigned char>(flags[n] | (change[n] != 0.0F ? 1 : 0));
    }
    const std::size_t kept = found;
    for (Index n = 0; n < count; ++n) {
      state.rows[found] = static_cast<std::int32_t>(first + n);
      state.bound[found] = bound[n];
      found += flags[n];
    }
    for (std::size_t u = 0; u < units; ++u) {
      const float* from =
          state.strip.data() + (2 * u + (work.last() ? 0 : 1)) * static_cast<std::size_t>(strip);
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
  const Matrix& golden = work.base.golden.activations.outputs[static_cast<std::size_t>(next.node)];
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

/// Whether logits that may each be off by `bound` leave the prediction, or the golden class's place among the
/// first five, open.
bool undecided(const float* logits, Index classes, float bound, std::int32_t golden) {
  float first = logits[0];
  float second = -std::numeric_limits<float>::infinity();
  Index best = 0;
  for (Index j = 1; j < classes; ++j) {
    second = std::max(second, std::min(first, logits[j]));
    best = logits[j] > first ? j : best;
    first = std::max(first, logits[j]);
  }
  if (!(first - second > 2 * bound)) return true;
  if (best == golden || classes <= 5) return false;
  Index surely = 0;
  Index perhaps = 0;
  for (Index j = 0; j < classes; ++j) {
    if (j == golden) continue;
    surely += logits[j] > logits[golden] + 2 * bound ? 1 : 0;
    perhaps += logits[j] >= logits[golden] - 2 * bound ? 1 : 0;
  }
  return surely < 5 && perhaps >= 5;
}

/// Infers undecided images exactly.
void decide(const Work& work, const SparseDelta& delta, State& state) {
  const Index classes = work.base.network.classes();
  state.affected.swap(state.rows);
  state.rows.clear();
  state.places.clear();
  for (std::size_t r = 0; r < state.affected.size(); ++r) {
    const std::int32_t row = state.affected[r];
    const float* logits = state.logits.data() + static_cast<Index>(r) * classes;
    if (!undecided(logits, classes, state.bound[r],
                   work.base.golden.prediction[static_cast<std::size_t>(row)]))
      continue;
    state.rows.push_back(row);
    state.places.push_back(static_cast<Index>(r));
  }
  if (!state.rows.empty()) {
    const WeightView& view = state.workspace.apply(delta);
    const int layer = static_cast<int>(delta.changes.front().layer);
    compute_units(work.base, view, layer, state);
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
  while (chain.stages[work.index].node != node) ++work.index;
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
  if (!bounded(work)) return false;
  find_affected(work, state);
  const Index classes = base.network.classes();
  state.logits.resize(state.rows.size() * static_cast<std::size_t>(classes));
  if (work.last()) {
    replace_logits(work, state);
  } else {
    carry_up(work, state);
  }
  decide(work, delta, state);
  for (std::size_t r = 0; r < state.rows.size(); ++r)
    tally.add(state.rows[r], state.logits.data() + static_cast<Index>(r) * classes);
  return true;
}

}  // namespace temblor
