#pragma once

#include <string>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor {

/// Batch normalisation for the time of training (Ioffe, Szegedy, ICML 2015; theory, section 9): the network
/// that is trained has a node of its own behind every convolution, which scales each channel by the mean and
/// variance of the block of images at hand; the network that is saved has none.
class Normalised {
 public:
  static constexpr double epsilon = 1e-5;           ///< added to variances
  static constexpr Index statistics_images = 2048;  ///< at most, evenly spaced over the training set

  /// Usage error where the network has no convolution or one without bias, which the folded node needs.
  explicit Normalised(const Network& plain);

  /// The graph to train: convolutions without biases, a batch-norm node behind each.
  const Network& training() const { return training_; }

  /// The plain network with every node folded into its convolution: w' = s w, b' = beta - s mean, s = gamma /
  /// sqrt(variance + epsilon). Mean and variance are those of the convolution's outputs on fixed images of
  /// `data`, layer by layer, those before it folded. The same bytes whatever the threads. Not finite where
  /// the parameters are not.
  Network folded(const std::vector<Weights>& trained, const Dataset& data) const;

 private:
  Network plain_;
  Network training_;
  std::vector<int> own_;    ///< of a plain weighted layer: the same in training_
  std::vector<bool> norm_;  ///< whether a batch-norm node follows it
};

/// Whether a graph, or a layer, normalises by batches.
bool normalises(const Network& network);
bool normalises(const Layer& layer);

/// Of each channel, over all images and positions.
struct ChannelStatistics {
  VectorD mean;
  VectorD variance;  ///< biased
};
/// Of the values [images x (channels * positions)] that a batch-norm node finds in a block.
ChannelStatistics channel_statistics(const Matrix& values, Index channels);

}  // namespace temblor
