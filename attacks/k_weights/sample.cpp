#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/perturb/project.hpp>

namespace temblor::few {
namespace {

/// A dense layer and the activations between it and the next one.
struct Stage {
  std::uint32_t layer;
  const Weights* weights;
  double reach;  ///< how far a weight may move; 0: it may not
  std::vector<const Layer*> activations{};

  void activate(float* values, Index n) const {
    for (const Layer* activation : activations) activation->apply(values, n);
  }
};

struct Chain {
  std::vector<const Layer*> before;  ///< element-wise layers in front of the first stage
  std::vector<Stage> stages;
};

Chain chain_of(const Network& network, const ThreatSet& set) {
  Chain chain;
  for (const auto& node : network.nodes()) {
    if (node.weights >= 0) {
      const auto& each = set.budget.each[static_cast<std::size_t>(node.weights)];
      chain.stages.push_back({static_cast<std::uint32_t>(node.weights), &network.weights(node.weights),
                              each ? each->uniform : 0.0});
    } else if (!node.layer->reshapes()) {
      (chain.stages.empty() ? chain.before : chain.stages.back().activations).push_back(node.layer.get());
    }
  }
  return chain;
}

/// A weight that may move to `after`.
struct Candidate {
  std::size_t stage;
  Index unit;
  Index input;
  float after;
  float gain;  ///< first-order change of the margin
};

/// The search for one image; reused from image to image.
class Search {
 public:
  Search(const Chain& chain, const ThreatSet& set, const Options& options)
      : chain_(chain),
        options_(options),
        most_(static_cast<std::size_t>(set.budget.count)),
        now_(chain.stages.size()),
        tried_(chain.stages.size()) {
    for (const auto& stage : chain.stages) {
      used_.emplace_back(stage.reach > 0 ? static_cast<std::size_t>(stage.weights->weight.size()) : 0, '\0');
      largest_.emplace_back();
    }
  }

  SparseDelta run(const float* image, std::int32_t label) {
    label_ = label;
    image_ = Eigen::Map<const Matrix>(image, 1, chain_.stages.front().weights->weight.cols());
    for (const Layer* layer : chain_.before) layer->apply(image_.data(), image_.size());
    best_.clear();
    chosen_.clear();
    now_[0].input = image_;
    first_sum_ = now_[0].input * chain_.stages[0].weights->weight.transpose();
    if (chain_.stages[0].weights->bias.size() != 0) first_sum_ += chain_.stages[0].weights->bias.transpose();
    look();
    lowest_ = margin(now_.back().sum);
    const Matrix clean = now_.back().sum;
    for (const Index target : rivals(clean)) climb(target);
    SparseDelta delta;
    for (const auto& one : best_) {
      const auto& stage = chain_.stages[one.stage];
      delta.changes.push_back(
          {stage.layer, static_cast<std::uint32_t>(one.unit * stage.weights->weight.cols() + one.input),
           one.after});
    }
    std::sort(delta.changes.begin(), delta.changes.end(), [](const Change& a, const Change& b) {
      return std::pair(a.layer, a.index) < std::pair(b.layer, b.index);
    });
    return delta;
  }

 private:
  struct State {
    Matrix input;  ///< [1 x inputs]
    Matrix sum;    ///< [1 x units], before the activations
  };

  std::vector<Index> rivals(const Matrix& logits) const {
    std::vector<Index> order(static_cast<std::size_t>(logits.cols()));
    std::iota(order.begin(), order.end(), Index{0});
    std::erase(order, Index{label_});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return logits(0, a) > logits(0, b); });
    order.resize(std::min(order.size(), static_cast<std::size_t>(options_.targets)));
    return order;
  }

  double margin(const Matrix& logits) const {
    double lowest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < logits.cols(); ++j) {
      if (j == label_) continue;
      lowest = std::min(lowest, static_cast<double>(logits(0, label_)) - static_cast<double>(logits(0, j)));
    }
    return logits.allFinite() ? lowest : -std::numeric_limits<double>::infinity();
  }
  double margin_to(Index target, const Matrix& logits) const {
    return logits.allFinite()
               ? static_cast<double>(logits(0, label_)) - static_cast<double>(logits(0, target))
               : -std::numeric_limits<double>::infinity();
  }

  void add(const Candidate& one, Matrix& sum, const Matrix& input) const {
    const float base = chain_.stages[one.stage].weights->weight(one.unit, one.input);
    sum(0, one.unit) += (one.after - base) * input(0, one.input);
  }

  /// From the sum of stage `first` on, with what is chosen so far.
  void finish(std::vector<State>& states, std::size_t first) const {
    for (std::size_t s = first; s + 1 < chain_.stages.size(); ++s) {
      State& next = states[s + 1];
      next.input = states[s].sum;
      chain_.stages[s].activate(next.input.data(), next.input.size());
      const Weights& weights = *chain_.stages[s + 1].weights;
      next.sum.noalias() = next.input * weights.weight.transpose();
      if (weights.bias.size() != 0) next.sum += weights.bias.transpose();
      for (const auto& one : chosen_) {
        if (one.stage == s + 1) add(one, next.sum, next.input);
      }
    }
  }

  /// The state under what is chosen.
  void look() {
    now_[0].sum = first_sum_;
    for (const auto& one : chosen_) {
      if (one.stage == 0) add(one, now_[0].sum, now_[0].input);
    }
    finish(now_, 0);
  }

  /// Margin to `target` with one weight more.
  double with(const Candidate& one, Index target) {
    State& state = tried_[one.stage];
    state.sum = now_[one.stage].sum;
    add(one, state.sum, now_[one.stage].input);
    finish(tried_, one.stage);
    return margin_to(target, tried_.back().sum);
  }

  /// slope_[s] [1 x units]: gradient of the margin by the output of stage s, after its activations.
  void differentiate(Index target) {
    slope_.resize(chain_.stages.size());
    for (std::size_t s = chain_.stages.size(); s-- > 0;) {
      const Stage& stage = chain_.stages[s];
      Matrix& slope = slope_[s];
      if (s + 1 == chain_.stages.size()) {
        slope = Matrix::Zero(1, now_[s].sum.cols());
        slope(0, label_) = 1;
        slope(0, target) = -1;
      } else {
        slope.noalias() = below_ * chain_.stages[s + 1].weights->weight;
        for (const auto& one : chosen_) {
          if (one.stage != s + 1) continue;
          const float base = chain_.stages[one.stage].weights->weight(one.unit, one.input);
          slope(0, one.input) += below_(0, one.unit) * (one.after - base);
        }
      }
      below_ = slope;
      for (std::size_t a = stage.activations.size(); a-- > 0;) pass_back(stage, a, now_[s].sum);
    }
  }

  /// below_ through activation `a` of a stage.
  void pass_back(const Stage& stage, std::size_t a, const Matrix& sum) {
    Matrix in = sum;
    for (std::size_t b = 0; b < a; ++b) stage.activations[b]->apply(in.data(), in.size());
    Matrix out = in;
    stage.activations[a]->apply(out.data(), out.size());
    Matrix result = Matrix::Zero(1, in.cols());
    const Matrix* from = &in;
    Matrix* to = &result;
    stage.activations[a]->backward({&from, 1}, out, nullptr, below_, {&to, 1}, nullptr);
    below_ = std::move(result);
  }

  char& used(const Candidate& one) {
    return used_[one.stage][static_cast<std::size_t>(
        one.unit * chain_.stages[one.stage].weights->weight.cols() + one.input)];
  }

  /// The candidates with the lowest first-order margin: of each unit, both ends of its weight with the
  /// largest input.
  void rank(Index target) {
    differentiate(target);
    candidates_.clear();
    for (std::size_t s = 0; s < chain_.stages.size(); ++s) {
      const Stage& stage = chain_.stages[s];
      if (!(stage.reach > 0)) continue;
      const Matrix& input = now_[s].input;
      auto& order = largest_[s];
      if (order.empty() || s > 0) {
        order.resize(static_cast<std::size_t>(input.cols()));
        std::iota(order.begin(), order.end(), Index{0});
        const auto size = [&](Index j) { return std::fabs(input(0, j)); };
        std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return size(a) > size(b); });
      }
      for (Index i = 0; i < now_[s].sum.cols(); ++i) rank_unit(s, i, order);
    }
    const auto count = std::min(candidates_.size(), static_cast<std::size_t>(options_.tries));
    const auto lower = [](const Candidate& a, const Candidate& b) {
      if (a.gain != b.gain) return a.gain < b.gain;
      return std::tuple(a.stage, a.unit, a.after) < std::tuple(b.stage, b.unit, b.after);
    };
    std::partial_sort(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                      candidates_.end(), lower);
    candidates_.resize(count);
  }

  void rank_unit(std::size_t s, Index unit, const std::vector<Index>& order) {
    const Stage& stage = chain_.stages[s];
    const float slope = slope_[s](0, unit);
    if (slope == 0.0F) return;
    const float sum = now_[s].sum(0, unit);
    float before = sum;
    stage.activate(&before, 1);
    for (const Index j : order) {
      const float z = now_[s].input(0, j);
      if (z == 0.0F) return;
      Candidate one{s, unit, j, 0, 0};
      if (used(one) != 0) continue;
      const float base = stage.weights->weight(unit, j);
      for (const double side : {-1.0, 1.0}) {
        one.after = moved(base, side * stage.reach, stage.reach);
        float after = sum + (one.after - base) * z;
        stage.activate(&after, 1);
        one.gain = slope * (after - before);
        if (one.gain < 0) candidates_.push_back(one);
      }
      return;
    }
  }

  /// Chooses one weight more; false when none lowers the margin to first order.
  bool choose(Index target) {
    rank(target);
    const Candidate* best = nullptr;
    double lowest = 0;
    for (const auto& one : candidates_) {
      const double value = with(one, target);
      if (best != nullptr && !(value < lowest)) continue;
      best = &one;
      lowest = value;
    }
    if (best == nullptr) return false;
    chosen_.push_back(*best);
    used(*best) = 1;
    look();
    return true;
  }

  void forget() {
    for (const auto& one : chosen_) used(one) = 0;
    chosen_.clear();
  }

  void keep() {
    const double value = margin(now_.back().sum);
    if (!(value < lowest_)) return;
    lowest_ = value;
    best_ = chosen_;
  }

  /// Exchanges the chosen weights one after the other; true when one exchange helped.
  bool exchange(Index target) {
    bool better = false;
    for (std::size_t c = 0; c < chosen_.size(); ++c) {
      const auto saved = chosen_;
      const double before = margin_to(target, now_.back().sum);
      used(chosen_[c]) = 0;
      chosen_.erase(chosen_.begin() + static_cast<std::ptrdiff_t>(c));
      look();
      if (choose(target) && margin_to(target, now_.back().sum) < before) {
        better = true;
        keep();
        continue;
      }
      for (const auto& one : chosen_) used(one) = 0;
      chosen_ = saved;
      for (const auto& one : chosen_) used(one) = 1;
      look();
    }
    return better;
  }

  void climb(Index target) {
    forget();
    largest_[0].clear();
    look();
    while (chosen_.size() < most_ && choose(target)) keep();
    for (std::int64_t sweep = 0; sweep < options_.sweeps && exchange(target); ++sweep) {
    }
    forget();
  }

  const Chain& chain_;
  const Options& options_;
  std::size_t most_;
  std::int32_t label_ = 0;
  Matrix image_;
  Matrix first_sum_;  ///< of stage 0, nothing changed
  std::vector<State> now_;
  std::vector<State> tried_;
  std::vector<Matrix> slope_;
  Matrix below_;                             ///< [1 x units] gradient by a stage's sum
  std::vector<std::vector<Index>> largest_;  ///< a stage: inputs, the largest first
  std::vector<std::vector<char>> used_;      ///< a stage: weights that are chosen
  std::vector<Candidate> candidates_;
  std::vector<Candidate> chosen_;
  std::vector<Candidate> best_;
  double lowest_ = 0;  ///< margin under best_
};

}  // namespace

SampleDelta per_sample(const Network& network, const Dataset& data, const ThreatSet& set,
                       const Options& options) {
  const Chain chain = chain_of(network, set);
  SampleDelta delta{set, std::vector<Matrix>(static_cast<std::size_t>(network.layers()))};
  delta.changes.resize(static_cast<std::size_t>(data.size()));
  // Isolated: a thread that waits here must not begin another trial and hold its buffers too.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(tbb::blocked_range<Index>(0, data.size(), 16), [&](const auto& rows) {
      Search search(chain, set, options);
      for (Index n = rows.begin(); n < rows.end(); ++n) {
        const auto row = static_cast<std::size_t>(n);
        delta.changes[row] = search.run(data.images.row(n).data(), data.labels[row]);
      }
    });
  });
  return delta;
}

}  // namespace temblor::few
