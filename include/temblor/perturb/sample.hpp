#pragma once

#include <utility>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/dense.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/perturbation.hpp>

namespace temblor {

/// Whether a weighted layer's perturbations of one image reduce to one number a unit: dense layers.
bool one_number_a_unit(const Network& network, int layer);

/// Numbers an image has for a chosen layer (SampleDelta::slack): the outputs of a dense layer; else its
/// weights, row by row, and behind them, in boxes, its biases.
Index slack_size(const Network& network, const ThreatSet& set, int layer);

/// The weights of a layer that is not dense, for one image with these numbers [slack_size]: boxes W + R s,
/// b + r s, with s clipped to [-1, 1]; balls W + radius u / max(1, ||u||_2) with the norm over the layer, or
/// row by row. Each rounded toward the base weight: in the set in exact arithmetic.
void own_weights(const Network& network, const ThreatSet& set, int layer, const float* slack, Weights& to);

/// radius / (||z||_2 max(1, ||u||_2)), shrunk by what double arithmetic may lose: scale u_i z_j is a member
/// of the ball. 0 when z is. u [units], z [inputs].
double ball_scale(double radius, const float* u, Index units, const float* z, Index inputs);

/// The least and the most that values of images [first, first + count) may be when each moves by at most
/// `radius` in exact arithmetic, as floats within the range that the dataset states; [count x values].
std::pair<Matrix, Matrix> image_ends(const Dataset& data, Index first, Index count, double radius);

/// Inference with each image's own weights: the same floats as perturbed_weights(network, delta, sample,
/// image) and an ordinary forward pass with them, but of dense layers one column of weights at a time, never
/// a whole layer, and no column whose input is 0. References must outlive the object; const and safe to call
/// from many threads, each with its own Buffers.
class SampleForward {
 public:
  SampleForward(const Network& network, const SampleDelta& delta);

  struct Buffers {
    Matrix image;
    Activations activations;
    std::vector<double> shift, delta, radius;
    std::vector<float> moved;
    Weights own;
  };
  /// Logits [classes] of image `sample`, whose values are `image`.
  const Matrix& run(Index sample, const float* image, Buffers& buffers) const;

 private:
  struct Moving {
    Matrix columns;        ///< [inputs x outputs]
    MatrixD radius;        ///< the same shape; empty when uniform
    PackedDense constant;  ///< of a dense layer that does not move
  };
  /// Weights of a layer that is not dense, for one image: buffers.own, or the base weights.
  const Weights& weights_of(int layer, Index sample, Buffers& buffers) const;
  void run_changed(int layer, Index sample, const Matrix& input, Matrix& out) const;
  void run_dense(int layer, Index sample, const Matrix& input, Matrix& out, Buffers& buffers) const;

  const Network* network_;
  const SampleDelta* delta_;
  std::vector<Moving> layers_;
};

}  // namespace temblor
