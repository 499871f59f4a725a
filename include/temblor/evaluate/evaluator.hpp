#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

/// Prediction of one image: index of the largest logit, the lowest on ties; -1 (no prediction) if any logit
/// is not finite. `classes` logits at `logits`.
std::int32_t predict(const float* logits, Index classes);
/// min over j != label of logit[label] - logit[j], in double; NaN when any logit is not finite.
double margin(const float* logits, Index classes, std::int32_t label);

/// The fault-free run of one network (in its number format) on one dataset.
struct Golden {
  /// Outputs [images x units] of the nodes that are kept, of the others empty: Evaluator::outputs. The last
  /// node's, the logits, always are.
  Activations activations;
  std::vector<std::int32_t> prediction;  ///< [images]
  std::vector<double> margin;            ///< [images], for the label
  std::int64_t correct = 0;
  std::int64_t argmax_correct = 0;  ///< top-1 as numpy's argmax gives it equals the label
  std::int64_t no_prediction = 0;   ///< images with a logit that is not finite

  const Matrix& logits() const { return activations.outputs.back(); }
};

/// What one trial did to the whole set (theory, section 8).
struct TrialCounts {
  std::int64_t correct = 0;  ///< finite logits and prediction == label
  std::int64_t changed = 0;  ///< SDC: finite logits and prediction != golden prediction
  std::int64_t changed_top5 =
      0;  ///< finite logits and golden prediction not among the five largest (ties: lowest index)
  std::int64_t broken = 0;         ///< right before, wrong or no prediction after
  std::int64_t fixed = 0;          ///< wrong before, right after
  std::int64_t no_prediction = 0;  ///< some logit is not finite (DUE)
  std::int64_t argmax_correct =
      0;                           ///< top-1 as numpy's argmax gives it (the first NaN wins) equals the label
  double drop_sum = 0;             ///< sum over images with finite drop, folded in index order
  double drop_max = 0;             ///< largest drop over images; +inf when some image's is not finite
  std::int64_t worst_sample = -1;  ///< row of the largest drop (the lowest on ties)

  bool operator==(const TrialCounts&) const = default;
};

/// What one trial did to each image. `drop` is the margin drop margin_before - margin_after (positive:
/// damage), in double, +inf where logits are not finite. `pair_drop` is the largest drop of one pair f^{yj},
/// `pair_class` its j.
///
/// Reused from trial to trial: an evaluation puts the rows of the last `affected` back to 0 and writes its
/// own, so that a trial costs what it changed. Read only, or replace the whole object.
struct TrialSamples {
  std::vector<double> drop;              ///< [images]
  std::vector<double> pair_drop;         ///< [images]
  std::vector<std::int32_t> pair_class;  ///< [images]
  /// Rows that were evaluated, ascending. Every other row kept its golden logits: drop 0, pair_drop 0,
  /// pair_class the lowest class that is not the label. A per-image fold may skip them (but a running maximum
  /// must see a 0).
  std::vector<std::int32_t> affected;
  std::uint64_t owner = 0;  ///< identity of the evaluator that filled the vectors; 0: none
};

/// What golden activations may take when nothing else is said: 2 GiB.
constexpr std::int64_t default_activation_memory = std::int64_t{2} << 30;

struct RippleTrial;

/// Evaluates perturbations of one network on one dataset. Immutable and shared; each worker has its own
/// Scratch.
///
/// Every path computes with the one arithmetic of the dense layers (PackedDense) and the same activations, so
/// that a part of the work can be left out without changing a bit of what remains:
/// - images whose inputs to every changed weight are 0 (weights finite) keep their golden logits, as 0 w adds
/// nothing;
/// - everything before the first touched layer keeps its golden activations;
/// - changed output channels of a convolution are followed image by image, and what turns out equal is
/// dropped; several
///   trials share a pass over the images;
/// - a few changed weights of one dense layer in a chain of dense and element-wise layers become a rank-1
/// change a
///   moved unit. Its logits differ from a full pass by rounding; the difference is bounded a priori (running
///   error analysis with gamma_n = n u, Higham, Accuracy and Stability of Numerical Algorithms, section 3.1),
///   and images whose prediction (or golden class's place among the first five) is within the bound are
///   inferred exactly.
class Evaluator {
 public:
  /// Runs the golden pass. References must outlive the evaluator. Golden activations beside the logits are
  /// kept as far as `activation_memory` bytes reach, those that save most first; the others are computed
  /// again where a perturbation needs them. Results do not depend on it.
  Evaluator(const Network& network, const Dataset& data,
            std::int64_t activation_memory = default_activation_memory);
  ~Evaluator();
  Evaluator(Evaluator&&) noexcept;
  struct Tables;

  const Golden& golden() const { return golden_; }
  const Network& network() const { return *network_; }
  /// Golden outputs of a node for all images [images x units]: the kept ones, which the evaluator owns, or
  /// computed again.
  std::shared_ptr<const Matrix> outputs(int node) const;

  /// Buffers of one worker, reused from trial to trial.
  class Scratch {
   public:
    explicit Scratch(const Evaluator& evaluator);
    ~Scratch();
    Scratch(Scratch&&) noexcept;
    Scratch& operator=(Scratch&&) noexcept;

    struct State;

   private:
    friend class Evaluator;
    std::unique_ptr<State> state_;
  };

  /// Exact effect of a perturbation. Counts equal those of evaluate_full; so do drops, except that those of a
  /// few changed weights in one layer may differ by the rounding bound of the class comment.
  TrialCounts evaluate(const Perturbation& perturbation, Scratch& scratch, TrialSamples& samples) const;
  /// Several trials in one pass over the images, as far as they change convolutions: what is not kept is
  /// computed once for all of them. Results, one a trial, are those of one trial after the other, bit for
  /// bit.
  std::vector<TrialCounts> evaluate(std::span<const Perturbation* const> perturbations, Scratch& scratch,
                                    std::span<TrialSamples> samples) const;
  /// Whether several trials in one pass save work for some perturbations of this network.
  bool shares() const;
  /// The reference path: full re-inference of every image, for tests and `--full`.
  TrialCounts evaluate_full(const Perturbation& perturbation, Scratch& scratch, TrialSamples& samples) const;
  /// The effect on a network that keeps the outputs of its activation functions, and values held as codes,
  /// node by node within the range they have without faults over all images; NaN becomes the lower end. Nodes
  /// with an output that is not finite have no range. Not for weights image by image. `full`: re-infers every
  /// node.
  TrialCounts evaluate_clamped(const Perturbation& perturbation, bool full, Scratch& scratch,
                               TrialSamples& samples) const;

 private:
  bool ripples(int layer) const;
  bool follow(const Perturbation& perturbation, RippleTrial& trial) const;

  const Network* network_;
  const Dataset* data_;
  Golden golden_;
  std::unique_ptr<Tables> tables_;
};

}  // namespace temblor
