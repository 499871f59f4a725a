#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <temblor/network/runner.hpp>
#include <temblor/perturb/project.hpp>

namespace temblor::few {
namespace {

struct Candidate {
  Change change;
  float gain;  ///< first-order change of the margin
};

/// What one change can make of each weight of the chosen layers, one matrix a layer; empty elsewhere.
struct Ends {
  std::vector<Matrix> lowest, highest;

  Ends(const Network& network, const ThreatSet& set)
      : lowest(static_cast<std::size_t>(network.layers())), highest(lowest) {
    for (const int layer : set.layers) {
      const auto m = static_cast<std::size_t>(layer);
      const Matrix& base = network.weights(layer).weight;
      lowest[m] = highest[m] = base;
      if (set.budget.flips != nullptr) {
        flip(set.budget.flips->codes[m], set.budget.flips->mask, m);
        continue;
      }
      const double reach = set.budget.each[m]->uniform;
      lowest[m] = base.unaryExpr([reach](float w) { return moved(w, -reach, reach); });
      highest[m] = base.unaryExpr([reach](float w) { return moved(w, reach, reach); });
    }
  }

 private:
  void flip(const Encoded& codes, std::uint32_t mask, std::size_t m) {
    for (std::size_t i = 0; i < codes.codes.size(); ++i) {
      float& low = lowest[m].data()[i];
      float& high = highest[m].data()[i];
      for (std::uint32_t bits = mask; bits != 0; bits &= bits - 1) {
        const float after = codes.decode(i, codes.codes[i] ^ (bits & -bits));
        if (!std::isfinite(after)) continue;
        low = std::min(low, after);
        high = std::max(high, after);
      }
    }
  }
};

/// The search for one image in any network; reused from image to image.
class Search {
 public:
  Search(const Network& network, const ThreatSet& set, const Ends& ends, const Options& options)
      : network_(network),
        set_(set),
        ends_(ends),
        options_(options),
        view_(network.view()),
        own_(view_.size()),
        gradients_(view_.size()),
        wanted_(view_.size(), nullptr),
        packed_(pack_dense(network, view_)),
        runner_(network) {
    for (const int layer : set.layers) {
      const auto m = static_cast<std::size_t>(layer);
      own_[m] = network.weights(layer);
      view_[m] = &own_[m];
      wanted_[m] = &gradients_[m];
    }
    for (const auto& layer : packed_) pointers_.push_back(&layer);
  }

  SparseDelta run(const Matrix& image, std::int32_t label) {
    image_ = image;
    label_ = label;
    best_.clear();
    look();
    const Matrix clean = now_.outputs.back();
    lowest_ = margin(clean);
    for (const Index target : rivals(clean)) climb(target);
    SparseDelta delta{best_};
    std::sort(delta.changes.begin(), delta.changes.end(), in_order);
    return delta;
  }

 private:
  static bool in_order(const Change& a, const Change& b) {
    return std::pair(a.layer, a.index) < std::pair(b.layer, b.index);
  }

  std::vector<Index> rivals(const Matrix& logits) const {
    std::vector<Index> order(static_cast<std::size_t>(logits.cols()));
    std::iota(order.begin(), order.end(), Index{0});
    std::erase(order, Index{label_});
    std::stable_sort(order.begin(), order.end(),
                     [&](Index a, Index b) { return logits(0, a) > logits(0, b); });
    order.resize(std::min(order.size(), static_cast<std::size_t>(options_.targets)));
    return order;
  }

  double margin_to(Index target, const float* logits) const {
    for (Index j = 0; j < network_.classes(); ++j) {
      if (!std::isfinite(logits[j])) return -std::numeric_limits<double>::infinity();
    }
    return static_cast<double>(logits[label_]) - static_cast<double>(logits[target]);
  }
  double margin(const Matrix& logits) const {
    double lowest = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < logits.cols(); ++j) {
      if (j != label_) lowest = std::min(lowest, margin_to(j, logits.data()));
    }
    return lowest;
  }

  /// Sets a weight, and returns what it was.
  float put(const Change& change) {
    Matrix& weight = own_[change.layer].weight;
    const float before = weight.data()[change.index];
    weight.data()[change.index] = change.after;
    if (packed_[change.layer].inputs() == weight.cols()) {
      packed_[change.layer].set(static_cast<Index>(change.index) / weight.cols(),
                                static_cast<Index>(change.index) % weight.cols(), change.after);
    }
    return before;
  }

  void look() { forward(network_, view_, image_, now_); }

  /// Margin to `target` with one weight more.
  double with(const Change& change, Index target) {
    std::vector<bool> dirty(network_.nodes().size(), false);
    dirty[static_cast<std::size_t>(network_.node_of(static_cast<int>(change.layer)))] = true;
    Change back = change;
    back.after = put(change);
    runner_.use(view_, pointers_);
    const RowsView logits = runner_.run({&image_, 0, 1}, now_, runner_.descendants(std::move(dirty)));
    const double value = margin_to(target, logits.row(0));
    put(back);
    return value;
  }

  void choose_one(const Change& change) {
    put(change);
    chosen_.push_back(change);
  }
  void take_back(std::size_t c) {
    Change base = chosen_[c];
    base.after = network_.weights(static_cast<int>(base.layer)).weight.data()[base.index];
    put(base);
    chosen_.erase(chosen_.begin() + static_cast<std::ptrdiff_t>(c));
  }
  void forget() {
    while (!chosen_.empty()) take_back(chosen_.size() - 1);
  }

  /// The candidates with the lowest first-order margin.
  void rank(Index target) {
    Matrix slope = Matrix::Zero(1, network_.classes());
    slope(0, label_) = 1;
    slope(0, target) = -1;
    for (const int layer : set_.layers) {
      const auto m = static_cast<std::size_t>(layer);
      gradients_[m].weight.setZero(own_[m].weight.rows(), own_[m].weight.cols());
      gradients_[m].bias.setZero(own_[m].bias.size());
    }
    backward(network_, view_, image_, now_, slope, wanted_);
    candidates_.clear();
    const auto lower = [](const Candidate& a, const Candidate& b) {
      return std::tuple(a.gain, a.change.layer, a.change.index) <
             std::tuple(b.gain, b.change.layer, b.change.index);
    };
    const auto most = static_cast<std::size_t>(options_.tries);
    for (const int layer : set_.layers) {
      const auto m = static_cast<std::size_t>(layer);
      const Matrix& base = network_.weights(layer).weight;
      for (Index i = 0; i < base.size(); ++i) {
        const float gradient = gradients_[m].weight.data()[i];
        const float after = (gradient > 0 ? ends_.lowest : ends_.highest)[m].data()[i];
        const float gain = gradient * (after - base.data()[i]);
        if (!(gain < 0)) continue;
        if (candidates_.size() == most && !(gain < candidates_.front().gain)) continue;
        const Change change{static_cast<std::uint32_t>(layer), static_cast<std::uint32_t>(i), after};
        if (std::any_of(chosen_.begin(), chosen_.end(), [&](const Change& one) {
              return one.layer == change.layer && one.index == change.index;
            }))
          continue;
        if (candidates_.size() == most) {
          std::pop_heap(candidates_.begin(), candidates_.end(), lower);
          candidates_.pop_back();
        }
        candidates_.push_back({change, gain});
        std::push_heap(candidates_.begin(), candidates_.end(), lower);
      }
    }
    std::sort_heap(candidates_.begin(), candidates_.end(), lower);
  }

  /// Chooses one weight more; false when none lowers the margin to first order.
  bool choose(Index target) {
    rank(target);
    const Candidate* best = nullptr;
    double lowest = 0;
    for (const Candidate& one : candidates_) {
      const double value = with(one.change, target);
      if (best != nullptr && !(value < lowest)) continue;
      best = &one;
      lowest = value;
    }
    if (best == nullptr) return false;
    choose_one(best->change);
    look();
    return true;
  }

  void keep() {
    const double value = margin(now_.outputs.back());
    if (!(value < lowest_)) return;
    lowest_ = value;
    best_ = chosen_;
  }

  /// Exchanges the chosen weights one after the other; true when one exchange helped.
  bool exchange(Index target) {
    bool better = false;
    for (std::size_t c = 0; c < chosen_.size(); ++c) {
      const std::vector<Change> saved = chosen_;
      const double before = margin_to(target, now_.outputs.back().data());
      take_back(c);
      look();
      if (choose(target) && margin_to(target, now_.outputs.back().data()) < before) {
        better = true;
        keep();
        continue;
      }
      forget();
      for (const Change& one : saved) choose_one(one);
      look();
    }
    return better;
  }

  void climb(Index target) {
    forget();
    look();
    while (std::ssize(chosen_) < set_.budget.count && choose(target)) keep();
    for (std::int64_t sweep = 0; sweep < options_.sweeps && exchange(target); ++sweep) {
    }
    forget();
  }

  const Network& network_;
  const ThreatSet& set_;
  const Ends& ends_;
  const Options& options_;
  WeightView view_;
  std::vector<Weights> own_;  ///< of the chosen layers
  std::vector<Weights> gradients_;
  std::vector<Weights*> wanted_;
  std::vector<PackedDense> packed_;
  std::vector<const PackedDense*> pointers_;
  BlockRunner runner_;
  Matrix image_;
  std::int32_t label_ = 0;
  Activations now_;  ///< under what is chosen
  std::vector<Candidate> candidates_;
  std::vector<Change> chosen_;
  std::vector<Change> best_;
  double lowest_ = 0;  ///< margin under best_
};

}  // namespace

SampleDelta per_sample_graph(const Network& network, const Dataset& data, const ThreatSet& set,
                             const Options& options) {
  SampleDelta delta{set, std::vector<Matrix>(static_cast<std::size_t>(network.layers()))};
  delta.changes.resize(static_cast<std::size_t>(data.size()));
  const Ends ends(network, set);
  // Isolated: a thread that waits here must not begin another trial and hold its buffers too.
  tbb::this_task_arena::isolate([&] {
    tbb::parallel_for(tbb::blocked_range<Index>(0, data.size(), 16), [&](const auto& rows) {
      Search search(network, set, ends, options);
      for (Index n = rows.begin(); n < rows.end(); ++n) {
        const auto row = static_cast<std::size_t>(n);
        delta.changes[row] = search.run(data.images.row(n), data.labels[row]);
      }
    });
  });
  return delta;
}

}  // namespace temblor::few
