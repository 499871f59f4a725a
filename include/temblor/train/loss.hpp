#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/network/network.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/schedule.hpp>

namespace temblor {

/// A few labelled images that a worker takes at once.
struct Block {
  Matrix images;                     ///< [images x values], scaled
  std::vector<std::int32_t> labels;  ///< [images]
};

/// Sums over images, so that blocks add up.
struct LossSum {
  double loss = 0;           ///< sum of the images' losses
  std::int64_t correct = 0;  ///< images whose largest logit (the lowest index on ties) is the label's

  LossSum& operator+=(const LossSum& other);
};

/// One batch as a loss sees it that looks at the whole batch before the step.
class Batch {
 public:
  virtual ~Batch() = default;
  virtual const WeightView& weights() const = 0;  ///< the parameters reached so far, which the step moves
  virtual const TrainingTime& time() const = 0;
  virtual Index images() const = 0;
  /// Random numbers of this batch alone, from their start at every call.
  virtual Stream stream() const = 0;
  /// Computes the gradient of the batch's mean loss at `weights` (penalty included) into gradients(), block
  /// by block in parallel, whatever was there; returns the sums over the images.
  virtual LossSum evaluate(const WeightView& weights) = 0;
  /// One entry a weighted layer: what the optimiser is given when the loss is done.
  virtual std::vector<Weights>& gradients() = 0;
};

/// What training minimises: the mean over the batch of a loss per image, plus a penalty on the weights alone.
/// add_gradients and penalty are const and safe to call from many threads at once.
class Loss {
 public:
  virtual ~Loss() = default;

  /// "" when the loss is defined for this network, otherwise why not (shown to the user).
  virtual std::string refuses(const Network& network) const;

  /// Once a batch, by one thread: leaves the gradient to step along in batch.gradients() and returns the sums
  /// to report. By default the gradient at the weights as they are. A loss that follows the time of training,
  /// or looks at perturbed weights, does so here.
  virtual LossSum step(Batch& batch);

  /// Adds `share` times the gradient of the block's summed loss to `gradients` (one a weighted layer, sized
  /// like the parameters) and returns the sums. `scratch` is the caller's, reused from call to call.
  virtual LossSum add_gradients(const Network& network, const WeightView& weights, const Block& block,
                                double share, Activations& scratch,
                                std::span<Weights* const> gradients) const = 0;

  /// Adds the gradient of the penalty and returns its value; called once an evaluation. None by default.
  virtual double penalty(const Network& network, const WeightView& weights,
                         std::span<Weights* const> gradients) const;
};

/// A loss: one file src/train/losses/NAME.cpp and one line in src/train/loss_table.cpp.
struct LossEntry {
  std::string name;
  std::string help;    ///< one line: formula
  std::string source;  ///< paper, or section of the theory
  std::vector<ParamSpec> params;
  std::string example;  ///< options of `temblor train` that choose it
  std::unique_ptr<Loss> (*make)(const Params& params);
};

const std::vector<LossEntry>& loss_table();
/// By name; usage error with the nearest name otherwise.
const LossEntry& find_loss(std::string_view name);

/// -log softmax(logits)[label], summed over the rows of `logits` [images x classes], computed in double.
/// `gradient` is resized and becomes share * (softmax(logits) - onehot(label)).
LossSum cross_entropy(const Matrix& logits, std::span<const std::int32_t> labels, double share,
                      Matrix& gradient);

}  // namespace temblor
