#include "search.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include <tbb/enumerable_thread_specific.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/network/runner.hpp>

namespace temblor::pbs {
namespace {

/// A flip to be tried.
struct Try {
  std::size_t layer;  ///< of the chosen ones
  Candidate bit;
};

struct Choice {
  Try flip;
  Score score;
};

/// The highest value so far, of whatever thread. Candidates that stay below it are of no use.
class Bar {
 public:
  Bar(double value, bool nonfinite) : value_(value), nonfinite_(nonfinite) {}
  bool above(double value) const { return value < value_.load(std::memory_order_relaxed); }
  void raise(const Score& score) {
    if (!score.finite && !nonfinite_) return;
    double now = value_.load(std::memory_order_relaxed);
    while (score.value > now && !value_.compare_exchange_weak(now, score.value, std::memory_order_relaxed)) {
    }
  }

 private:
  std::atomic<double> value_;
  bool nonfinite_;
};

/// The network with the flips so far, its outputs on the batch, and the objective.
class State {
 public:
  State(const Network& network, const LayerSet& layers, std::vector<LayerWords> words, const Batch& batch)
      : network_(network),
        layers_(layers),
        words_(std::move(words)),
        batch_(batch),
        view_(network.view()),
        packed_(pack_dense(network, view_)),
        images_(BlockRunner(network).rows()),
        gradients_(layers.size()),
        wanted_(view_.size(), nullptr),
        lanes_([this] { return Lane(network_); }) {
    own_.reserve(layers.size());
    for (std::size_t k = 0; k < layers.size(); ++k) {
      const Weights& weights = network.weights(layers[k]);
      own_.push_back(weights);
      gradients_[k] = {Matrix(weights.weight.rows(), weights.weight.cols()), Vector(weights.bias.size())};
      wanted_[slot(k)] = &gradients_[k];
    }
    for (std::size_t k = 0; k < layers.size(); ++k) view_[slot(k)] = &own_[k];
    for (const auto& layer : packed_) pointers_.push_back(&layer);
    forward(network_, view_, batch_.images, outputs_);
    score_ = score_outputs(nullptr);
  }

  const Score& score() const { return score_; }
  const std::vector<LayerWords>& words() const { return words_; }

  /// Gradient of the objective by the weights of every chosen layer, finite: where it overflows, its sign at
  /// the largest float counts, and no number counts nothing.
  void differentiate() {
    Matrix logits_gradient(batch_.images.rows(), network_.classes());
    score_outputs(&logits_gradient);
    for (auto& gradient : gradients_) {
      gradient.weight.setZero();
      gradient.bias.setZero();
    }
    backward(network_, view_, batch_.images, outputs_, logits_gradient, wanted_);
    constexpr float huge = std::numeric_limits<float>::max();
    for (auto& gradient : gradients_) {
      if (std::isfinite(gradient.weight.sum())) continue;
      for (auto& g : gradient.weight.reshaped<Eigen::RowMajor>())
        g = std::isnan(g) ? 0.0F : std::clamp(g, -huge, huge);
    }
  }
  std::vector<Candidate> best(std::size_t k, std::size_t count) const {
    return words_[k].best(gradients_[k].weight.data(), count);
  }

  /// Whether tries of a layer are made in groups of its own.
  bool alone(std::size_t k) const { return dense(k); }

  /// Objective after each of these flips alone, `see(flip, score)` in order. Those that cannot reach `bar`
  /// any more are left out. Either all in one layer that is `alone`, or in others.
  template <class See>
  void evaluate(std::span<const Try> tries, Bar& bar, const See& see) {
    std::vector<std::optional<Score>> scores(tries.size());
    const bool patched = dense(tries.front().layer);
    if (patched) flipped_outputs(tries.front().layer, tries);
    const auto one = [&](std::size_t c) {
      scores[c] = patched ? patched_score(tries[c], columns_.col(static_cast<Index>(c)), bar)
                          : flipped_score(tries[c], bar);
    };
    // Isolated: a thread that waits here must not begin another trial.
    tbb::this_task_arena::isolate([&] { tbb::parallel_for(std::size_t{0}, tries.size(), one); });
    for (std::size_t c = 0; c < tries.size(); ++c) {
      if (scores[c]) see(tries[c], *scores[c]);
    }
  }

  /// Flips for good.
  BitFault take(const Choice& choice) {
    const std::size_t k = choice.flip.layer;
    const Candidate& bit = choice.flip.bit;
    const auto cols = own_[k].weight.cols();
    const auto node = static_cast<int>(node_of(k));
    const float after = words_[k].flipped(bit);
    if (dense(k)) {
      const Index unit = static_cast<Index>(bit.index) / cols;
      flipped_outputs(k, {&choice.flip, 1});
      outputs_.outputs[node_of(k)].col(unit) = columns_.col(0);
      packed_[slot(k)].set(unit, static_cast<Index>(bit.index) % cols, after);
    }
    own_[k].weight.data()[bit.index] = after;
    forward(network_, view_, batch_.images, outputs_, dense(k) ? node + 1 : node);
    const std::uint32_t before = words_[k].word(bit.index);
    words_[k].flip(bit.index, bit.bit);
    score_ = choice.score;
    return {static_cast<std::uint32_t>(layers_[k]), bit.index, bit.bit, before, words_[k].word(bit.index)};
  }

 private:
  /// What one thread computes with.
  struct Lane {
    explicit Lane(const Network& network) : runner(network) {}
    BlockRunner runner;
    Weights weights;
    Vector column;
  };

  std::size_t slot(std::size_t k) const { return static_cast<std::size_t>(layers_[k]); }
  std::size_t node_of(std::size_t k) const { return static_cast<std::size_t>(network_.node_of(layers_[k])); }
  bool dense(std::size_t k) const { return network_.nodes()[node_of(k)].layer->kind() == "dense"; }

  /// Nodes that depend on a layer.
  std::vector<bool> behind(std::size_t k, const Lane& lane) const {
    std::vector<bool> dirty(network_.nodes().size(), false);
    dirty[node_of(k)] = true;
    return lane.runner.descendants(std::move(dirty));
  }

  Score score_outputs(Matrix* gradient) const {
    const Matrix& logits = outputs_.outputs.back();
    Score score;
    const RowsView view{logits.data(), logits.cols(), nullptr};
    add_rows(batch_, view, logits.cols(), 0, logits.rows(), score, gradient);
    return score;
  }

  /// Score of what `run` gives, images after images; none where it cannot reach `bar` any more.
  template <class Run>
  std::optional<Score> score_runs(Bar& bar, const Run& run) const {
    Score score;
    for (Index row = 0; row < batch_.images.rows(); row += images_) {
      if (bar.above(highest(batch_, score, row))) return std::nullopt;
      const Index count = std::min(images_, batch_.images.rows() - row);
      add_rows(batch_, run(row, count), network_.classes(), row, count, score);
    }
    bar.raise(score);
    return score;
  }

  /// With the outputs of one unit of a dense layer replaced by `column` [images].
  template <class Column>
  std::optional<Score> patched_score(const Try& flip, const Column& column, Bar& bar) {
    const std::size_t k = flip.layer;
    const Candidate& bit = flip.bit;
    Lane& lane = lanes_.local();
    const std::vector<bool> dirty = behind(k, lane);
    const Index unit = static_cast<Index>(bit.index) / own_[k].weight.cols();
    lane.column = column;
    lane.runner.use(view_, pointers_);
    return score_runs(bar, [&](Index row, Index count) {
      const UnitPatch patch{static_cast<int>(node_of(k)), {&unit, 1}, lane.column.data() + row};
      return lane.runner.run({&batch_.images, row, count}, outputs_, dirty, &patch);
    });
  }

  /// With one weight replaced, the layer and what follows it computed again.
  std::optional<Score> flipped_score(const Try& flip, Bar& bar) {
    const std::size_t k = flip.layer;
    const Candidate& bit = flip.bit;
    Lane& lane = lanes_.local();
    const std::vector<bool> dirty = behind(k, lane);
    lane.weights = own_[k];
    lane.weights.weight.data()[bit.index] = words_[k].flipped(bit);
    WeightView view = view_;
    view[slot(k)] = &lane.weights;
    lane.runner.use(view, pointers_);
    return score_runs(bar, [&](Index row, Index count) {
      return lane.runner.run({&batch_.images, row, count}, outputs_, dirty);
    });
  }

  /// columns_[images x bits]: outputs of the unit of a dense layer that each bit belongs to, with that bit
  /// flipped.
  void flipped_outputs(std::size_t k, std::span<const Try> tries) {
    const Weights& weights = own_[k];
    const auto count = static_cast<Index>(tries.size());
    rows_.resize(count, weights.weight.cols());
    biases_.resize(weights.bias.size() == 0 ? 0 : count);
    for (Index c = 0; c < count; ++c) {
      const Candidate& bit = tries[static_cast<std::size_t>(c)].bit;
      const Index unit = static_cast<Index>(bit.index) / weights.weight.cols();
      rows_.row(c) = weights.weight.row(unit);
      rows_(c, static_cast<Index>(bit.index) % weights.weight.cols()) = words_[k].flipped(bit);
      if (biases_.size() != 0) biases_[c] = weights.bias[unit];
    }
    some_.pack(rows_, biases_);
    const Matrix& input = outputs_.of(network_.nodes()[node_of(k)].inputs[0], batch_.images);
    columns_.resize(input.rows(), count);
    some_.multiply({input.data(), input.cols(), nullptr}, input.rows(), columns_.data(), count);
  }

  const Network& network_;
  const LayerSet& layers_;
  std::vector<LayerWords> words_;
  const Batch& batch_;
  std::vector<Weights> own_;  ///< of the chosen layers
  WeightView view_;
  std::vector<PackedDense> packed_;
  std::vector<const PackedDense*> pointers_;
  Index images_;  ///< of a run
  std::vector<Weights> gradients_;
  std::vector<Weights*> wanted_;
  Activations outputs_;
  Score score_;
  Matrix rows_, columns_;
  Vector biases_;
  PackedDense some_;
  tbb::enumerable_thread_specific<Lane> lanes_;
};

/// Bits of ranks [seen, count) of all layers, in groups that are evaluated together: the sooner a high score
/// is known, the more need not be run to their end.
std::vector<std::vector<Try>> tries_of(const State& state, std::size_t seen, std::size_t count) {
  constexpr std::size_t group = 16;
  std::vector<std::vector<Try>> groups;
  const auto cut = [&](std::span<const Try> tries) {
    for (std::size_t first = 0; first < tries.size(); first += group) {
      const auto some = tries.subspan(first, std::min(group, tries.size() - first));
      groups.emplace_back(some.begin(), some.end());
    }
  };
  const auto higher = [](const Try& a, const Try& b) { return a.bit.gain > b.bit.gain; };
  std::vector<Try> pooled;
  for (std::size_t k = 0; k < state.words().size(); ++k) {
    std::vector<Try> tries;
    for (const Candidate& bit : state.best(k, count)) tries.push_back({k, bit});
    if (tries.size() <= seen) continue;
    const auto own = std::span(tries).subspan(seen);
    if (state.alone(k)) {
      cut(own);
    } else {
      pooled.insert(pooled.end(), own.begin(), own.end());
    }
  }
  std::stable_sort(pooled.begin(), pooled.end(), higher);
  cut(pooled);
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const auto& a, const auto& b) { return higher(a.front(), b.front()); });
  return groups;
}

/// The best flip of all layers, if one is better than none; of equals the one in the first layer, of the
/// highest rank.
std::optional<Choice> choose(State& state, const Options& options) {
  std::size_t seen = 0;
  std::size_t count = options.candidates;
  for (int round = 0; round <= widenings; ++round, seen = count, count *= 4) {
    std::optional<Choice> best;
    Bar bar(state.score().value, options.nonfinite);
    for (const auto& tries : tries_of(state, seen, count)) {
      state.evaluate(tries, bar, [&](const Try& flip, const Score& score) {
        if (!score.finite && !options.nonfinite) return;
        const Score& most = best ? best->score : state.score();
        const bool first_of_equals = best && flip.layer < best->flip.layer && !most.beats(score);
        if (score.beats(most) || first_of_equals) best = Choice{flip, score};
      });
    }
    if (best) return best;
  }
  return std::nullopt;
}

bool at_most(std::int64_t part, std::int64_t whole, double share) {
  return static_cast<double>(part) <= share * static_cast<double>(whole);
}

/// Why the search ends here; "" when it goes on.
std::string reached(const FlipLog& log, const Batch& batch, const Score& score, const Options& options) {
  if (batch.targeted() &&
      static_cast<double>(score.hits) >= options.stop_success * static_cast<double>(log.attacked)) {
    return "success";
  }
  if (at_most(score.correct, log.images, options.stop_accuracy)) return "accuracy";
  return static_cast<std::int64_t>(log.steps.size()) == options.flips ? "flips" : "";
}

}  // namespace

FlipLog search(const Network& network, const LayerSet& layers, std::vector<LayerWords> words,
               const Batch& batch, const Options& options) {
  State state(network, layers, std::move(words), batch);
  FlipLog log;
  log.images = batch.images.rows() - batch.first_kept();
  log.attacked = batch.attacked;
  log.clean = effect_of(batch, state.score());
  for (;;) {
    log.stop = reached(log, batch, state.score(), options);
    if (!log.stop.empty()) return log;
    state.differentiate();
    const auto choice = choose(state, options);
    if (!choice) {
      log.stop = "stuck";
      return log;
    }
    const BitFault flip = state.take(*choice);
    log.steps.push_back({flip, effect_of(batch, state.score())});
  }
}

}  // namespace temblor::pbs
