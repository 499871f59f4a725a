#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include <temblor/base/error.hpp>
#include <temblor/network/runner.hpp>

namespace temblor::pbs {
namespace {

struct Choice {
  std::size_t layer;  ///< of the chosen ones
  Candidate bit;
  Score score;
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
        runner_(network),
        gradients_(layers.size()),
        wanted_(view_.size(), nullptr) {
    own_.reserve(layers.size());
    for (std::size_t k = 0; k < layers.size(); ++k) {
      ensure(network.nodes()[node_of(k)].layer->kind() == "dense", "bits are searched in dense layers");
      const Weights& weights = network.weights(layers[k]);
      own_.push_back(weights);
      gradients_[k] = {Matrix(weights.weight.rows(), weights.weight.cols()), Vector(weights.bias.size())};
      wanted_[slot(k)] = &gradients_[k];
    }
    for (std::size_t k = 0; k < layers.size(); ++k) view_[slot(k)] = &own_[k];
    std::vector<const PackedDense*> packed;
    for (const auto& layer : packed_) packed.push_back(&layer);
    runner_.use(view_, std::move(packed));
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

  /// Objective after each of these flips alone, `see(candidate, score)` in order.
  template <class See>
  void evaluate(std::size_t k, std::span<const Candidate> bits, const See& see) {
    constexpr std::size_t group = 16;  // units of one product
    const auto node = node_of(k);
    std::vector<bool> dirty(network_.nodes().size(), false);
    dirty[node] = true;
    dirty = runner_.descendants(std::move(dirty));
    for (std::size_t first = 0; first < bits.size(); first += group) {
      const auto some = bits.subspan(first, std::min(group, bits.size() - first));
      flipped_outputs(k, some);
      for (std::size_t c = 0; c < some.size(); ++c) {
        const Index unit = some[c].index / static_cast<std::uint32_t>(own_[k].weight.cols());
        column_ = columns_.col(static_cast<Index>(c));
        Score score;
        for (Index row = 0; row < batch_.images.rows(); row += BlockRunner::block) {
          const Index count = std::min(BlockRunner::block, batch_.images.rows() - row);
          const UnitPatch patch{static_cast<int>(node), {&unit, 1}, column_.data() + row};
          const auto logits = runner_.run({&batch_.images, row, count}, outputs_, dirty, &patch);
          add_rows(batch_, logits, network_.classes(), row, count, score);
        }
        see(some[c], score);
      }
    }
  }

  /// Flips for good.
  BitFault take(const Choice& choice) {
    const std::size_t k = choice.layer;
    const Candidate& bit = choice.bit;
    const auto cols = own_[k].weight.cols();
    const Index unit = static_cast<Index>(bit.index) / cols;
    flipped_outputs(k, {&bit, 1});
    const auto node = node_of(k);
    outputs_.outputs[node].col(unit) = columns_.col(0);
    const float after = words_[k].flipped(bit);
    own_[k].weight.data()[bit.index] = after;
    packed_[slot(k)].set(unit, static_cast<Index>(bit.index) % cols, after);
    forward(network_, view_, batch_.images, outputs_, static_cast<int>(node) + 1);
    const std::uint32_t before = words_[k].word(bit.index);
    words_[k].flip(bit.index, bit.bit);
    score_ = choice.score;
    return {static_cast<std::uint32_t>(layers_[k]), bit.index, bit.bit, before, words_[k].word(bit.index)};
  }

 private:
  std::size_t slot(std::size_t k) const { return static_cast<std::size_t>(layers_[k]); }
  std::size_t node_of(std::size_t k) const { return static_cast<std::size_t>(network_.node_of(layers_[k])); }

  Score score_outputs(Matrix* gradient) const {
    const Matrix& logits = outputs_.outputs.back();
    Score score;
    // In the blocks of evaluate, so that sums agree to the bit.
    for (Index row = 0; row < logits.rows(); row += BlockRunner::block) {
      const Index count = std::min(BlockRunner::block, logits.rows() - row);
      const RowsView view{logits.data() + row * logits.cols(), logits.cols(), nullptr};
      add_rows(batch_, view, logits.cols(), row, count, score, gradient);
    }
    return score;
  }

  /// columns_[images x bits]: outputs of the unit that each bit belongs to, with that bit flipped.
  void flipped_outputs(std::size_t k, std::span<const Candidate> bits) {
    const Weights& weights = own_[k];
    const auto count = static_cast<Index>(bits.size());
    rows_.resize(count, weights.weight.cols());
    biases_.resize(weights.bias.size() == 0 ? 0 : count);
    for (Index c = 0; c < count; ++c) {
      const Candidate& bit = bits[static_cast<std::size_t>(c)];
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
  BlockRunner runner_;
  std::vector<Weights> gradients_;
  std::vector<Weights*> wanted_;
  Activations outputs_;
  Score score_;
  Matrix rows_, columns_;
  Vector biases_, column_;
  PackedDense some_;
};

/// The best flip of all layers, if one is better than none.
std::optional<Choice> choose(State& state, const Options& options) {
  const std::size_t layers = state.words().size();
  std::size_t seen = 0;
  std::size_t count = options.candidates;
  for (int round = 0; round <= widenings; ++round, seen = count, count *= 4) {
    std::optional<Choice> best;
    for (std::size_t k = 0; k < layers; ++k) {
      const auto bits = state.best(k, count);
      if (bits.size() <= seen) continue;
      state.evaluate(k, std::span(bits).subspan(seen), [&](const Candidate& bit, const Score& score) {
        if (!score.finite && !options.nonfinite) return;
        if (score.beats(best ? best->score : state.score())) best = Choice{k, bit, score};
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
