#include "ball.hpp"
#include "blocks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <temblor/base/error.hpp>

namespace temblor::pgd {
namespace {

/// The parameters of all chosen layers, moving together.
class Walk {
 public:
  Walk(const Network& network, const ThreatSet& set) : layers_(set.layers), view_(network.view()) {
    for (const int layer : layers_) paths_.push_back(make_path(network.weights(layer), set, layer));
    look();
  }

  const WeightView& view() const { return view_; }

  void start(Stream& stream, bool random) {
    for (auto& path : paths_) random ? path->to_random(stream) : path->to_base();
    look();
  }

  void step(const std::vector<Weights>& grads, const Options& options) {
    for (std::size_t k = 0; k < paths_.size(); ++k)
      paths_[k]->step(grads[k], options.step, options.direction);
  }

  DenseDelta delta() const {
    DenseDelta result;
    result.layers.resize(view_.size());
    for (std::size_t k = 0; k < paths_.size(); ++k) {
      result.layers[static_cast<std::size_t>(layers_[k])] = paths_[k]->weights();
    }
    return result;
  }

 private:
  void look() {
    for (std::size_t k = 0; k < paths_.size(); ++k)
      view_[static_cast<std::size_t>(layers_[k])] = &paths_[k]->weights();
  }

  LayerSet layers_;
  std::vector<std::unique_ptr<Path>> paths_;
  WeightView view_;
};

/// The worst perturbation so far.
class Kept {
 public:
  explicit Kept(bool by_accuracy) : by_accuracy_(by_accuracy) {}

  void offer(Score score, const Walk& walk) {
    // Logits that overflow are the worst that can happen, not a loss that compares with none.
    if (std::isnan(score.loss)) score.loss = std::numeric_limits<double>::infinity();
    const bool worse = by_accuracy_ && best_ && score.correct != best_->correct
                           ? score.correct < best_->correct
                           : !best_ || score.loss > best_->loss;
    if (!worse) return;
    best_ = score;
    delta_ = walk.delta();
  }
  DenseDelta take() { return std::move(delta_); }

 private:
  bool by_accuracy_;
  std::optional<Score> best_;
  DenseDelta delta_;
};

}  // namespace

DenseDelta universal(const Network& network, const Dataset& data, const ThreatSet& set,
                     const Options& options, const Stream& stream) {
  ensure(data.size() > 0 && !set.layers.empty(), "weight-pgd has images and layers");
  const Blocks blocks(network, data, set.layers, options.batch, options.loss);
  Stream draws = stream;
  Walk walk(network, set);
  Kept kept(options.keep_accuracy);
  std::vector<Weights> grads;
  std::vector<std::uint32_t> order;
  const auto batches = static_cast<std::int64_t>(blocks.batches());
  for (std::int64_t restart = 0; restart < options.restarts; ++restart) {
    walk.start(draws, options.random_start);
    for (std::int64_t t = 0; t < options.steps; ++t) {
      if (t % batches == 0) {
        order.assign(1, 0U);
        if (batches > 1) order = permutation(draws, static_cast<std::uint32_t>(batches));
        if (batches > 1) kept.offer(blocks.run_all(walk.view()), walk);
      }
      const Score score = blocks.run(walk.view(), order[static_cast<std::size_t>(t % batches)], true, grads);
      if (batches == 1) kept.offer(score, walk);
      walk.step(grads, options);
    }
    kept.offer(blocks.run_all(walk.view()), walk);
  }
  return kept.take();
}

}  // namespace temblor::pgd
