#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <temblor/base/params.hpp>
#include <temblor/network/network.hpp>

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

/// What training minimises: the mean over the batch of a loss per image, plus a penalty on the weights alone.
/// Const and safe to call from many threads at once.
class Loss {
 public:
  virtual ~Loss() = default;

  /// Adds `share` times the gradient of the block's summed loss to `gradients` (one a weighted layer, sized
  /// like the parameters) and returns the sums. `scratch` is the caller's, reused from call to call.
  virtual LossSum add_gradients(const Network& network, const WeightView& weights, const Block& block,
                                double share, Activations& scratch,
                                std::span<Weights* const> gradients) const = 0;

  /// Adds the gradient of the penalty and returns its value; called once a batch. None by default.
  virtual double penalty(const Network& network, const WeightView& weights,
                         std::span<Weights* const> gradients) const;
};

/// A loss: one file src/train/losses/NAME.cpp and one line in src/train/loss_table.cpp.
struct LossEntry {
  std::string name;
  std::string help;  ///< one line: formula
  std::vector<ParamSpec> params;
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
