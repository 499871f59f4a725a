#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>
#include <temblor/random/stream.hpp>
#include <temblor/train/loss.hpp>
#include <temblor/train/optimizer.hpp>
#include <temblor/train/schedule.hpp>

namespace temblor {

/// Random weights, zero biases. A layer followed by a sigmoid or tanh is drawn from N(0, 2 / (inputs +
/// outputs)) (Glorot, Bengio, AISTATS 2010), any other from N(0, 2 / inputs) (He, Zhang, Ren, Sun, ICCV
/// 2015); inputs are the values that one output reads, outputs those that read one input. One stream a layer:
/// the draw of a layer does not depend on the others. Unless batch normalisation will follow, the last layer
/// of a residual branch starts at 0, so that the block passes its input on (Zhang, Dauphin, Ma, Fixup, ICLR
/// 2019).
Network initialise(const Network& network, std::uint64_t seed, bool batch_norm = false);

/// What one training run is made of, beside the network, the data and the loss.
struct TrainingPlan {
  std::int64_t epochs = 8;
  Index batch = 128;  ///< images a step; the last batch of an epoch may be smaller
  std::uint64_t seed = 1;
  std::string loss = "cross-entropy";
  Params loss_params{};
  std::string optimizer = "adam";
  Params optimizer_params{};
  double rate = 0.002;  ///< learning rate before the schedule
  std::string schedule = "cosine";
  Params schedule_params{};
  /// Every step ends with all weights (not biases) in [-clip, clip]; 0: no limit.
  double clip = 0;
  /// Every convolution is followed by batch normalisation while training, over the images of a block;
  /// network() has it folded into the convolutions.
  bool batch_norm = false;
};

/// One epoch's sums. Loss and correct answers are those met while training, before each step.
struct EpochReport {
  std::int64_t epoch = 0;  ///< 1-based
  LossSum sum;
  std::int64_t images = 0;
  double rate = 0;  ///< learning rate of the last batch

  double loss() const { return sum.loss / static_cast<double>(images); }
  double accuracy() const { return static_cast<double>(sum.correct) / static_cast<double>(images); }
};

/// Mini-batch training. The promise: same network, data, plan, same bytes, whatever the number of threads. A
/// batch is cut into blocks of `block` images; their gradients are computed in parallel and added in block
/// order. Epoch e visits the images in the order of its own stream.
class Trainer {
 public:
  static constexpr Index block = 64;

  /// Starts from the parameters of `network`. `data` must outlive the trainer. Usage errors for an empty set,
  /// a bad plan, a loss that is not defined for the network, and what does not go with batch normalisation.
  Trainer(const Network& network, const Dataset& data, TrainingPlan plan);
  ~Trainer();

  bool finished() const;
  /// One batch. Error when the loss is no longer finite, with the epoch: nothing is to be saved from there.
  void step();
  std::int64_t batches_done() const;               ///< in this epoch; 0 right after one ended
  std::int64_t batches() const;                    ///< an epoch
  const std::vector<EpochReport>& epochs() const;  ///< the finished ones
  /// The network with the parameters reached so far. With batch normalisation this runs part of the training
  /// images through it.
  Network network() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Correct answers of a network on a set: largest logit (the lowest index on ties) equal to the label, all
/// logits finite.
std::int64_t count_correct(const Network& network, const Dataset& data);

}  // namespace temblor
