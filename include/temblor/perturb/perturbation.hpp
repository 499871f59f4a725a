#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// One weight set to another value (biases are never faulted).
struct Change {
  std::uint32_t layer;
  std::uint32_t index;  ///< row-major in [outputs x inputs]
  float after;
};

/// One inverted bit of a stored code; or of a scale or zero point, whose entry `index` then is.
struct BitFault {
  std::uint32_t layer;
  std::uint32_t index;
  std::uint32_t bit;
  std::uint32_t before;  ///< code before
  std::uint32_t after;   ///< code after this and every earlier flip of the same word
};

/// A few weights changed: sorted by (layer, index), each weight once.
struct SparseDelta {
  std::vector<Change> changes;
};

/// Whole layers replaced: one entry a weighted layer, empty where untouched.
struct DenseDelta {
  std::vector<std::optional<Weights>> layers;
};

/// One perturbation for each image, never formed as weights for all images at once. Against the input z of a
/// layer the strongest box perturbation is dW_ij = R_ij s_i sgn(z_j) with one number s_i in [-1, 1] a unit
/// (theory, 4b); for the Frobenius ball dW = radius u z^T / ||z||_2 with ||u||_2 <= 1, for a ball a row dW_ij
/// = radius s_i z_j / ||z||_2. z is the layer's input in the PERTURBED network; sgn(0) = +1. Biases, where
/// the set moves them, get r_i s_i.
///
/// Layers of other kinds use a weight many times for one image, and no such form is the strongest: each image
/// has a number of its own for every weight (see slack_size).
struct SampleDelta {
  ThreatSet set;
  /// slack[m]: [images x slack_size] for every chosen weighted layer, empty otherwise: s (boxes) or u (l2).
  std::vector<Matrix> slack;
  /// The images that are seen instead, [images x values], each value within set.input of the dataset's; empty
  /// when images stay.
  Matrix images{};
  /// Or a few weights of each image's own set to other values, one SparseDelta an image: sets k-weights and
  /// sets of flips, whose slack is empty in every layer.
  std::vector<SparseDelta> changes{};

  /// What the network sees in place of `image` [1 x values], row `sample` of the dataset.
  Matrix seen(Index sample, const Matrix& image) const;
};

/// A place where a network holds activations as codes: node `node` of its graph gives their decoded values.
struct ActivationSite {
  int layer = -1;  ///< the weighted layer whose outputs they are; -1: the image
  int node = -1;
  Encoded grid;  ///< format; channels or units as rows, their scales and zero points; no codes
};

/// One bit of one activation of one image.
struct ActivationBit {
  std::uint32_t sample;  ///< row of the dataset
  std::uint32_t site;
  std::uint32_t unit;
  std::uint32_t bit;
  auto operator<=>(const ActivationBit&) const = default;
};

/// Transient faults: bits of the codes of activations are inverted, each image has its own. The weights stay.
struct ActivationFaults {
  std::shared_ptr<const std::vector<ActivationSite>> sites;  ///< in the order of the graph
  std::vector<ActivationBit> bits;                           ///< sorted, without repeats
};

/// What an attack returns: one perturbation of the network's weights, or of its activations.
struct Perturbation {
  std::variant<SparseDelta, DenseDelta, SampleDelta, ActivationFaults> delta;
  std::vector<BitFault> faults{};  ///< for faults on stored codes

  std::int64_t flipped_bits() const;
};

/// Size of a perturbation, over weights and biases.
struct Norms {
  std::int64_t changed = 0;  ///< parameters that differ (NaN differs from everything)
  double linf = 0;           ///< largest absolute change of a weight (NaN or Inf where a weight became so)
  double l2 = 0;             ///< Frobenius norm over all layers together
  double relative = 0;  ///< largest change relative to the weight's magnitude; +inf where a zero weight moved
};

/// The perturbed parameters: one entry a weighted layer, empty where untouched.
std::vector<std::optional<Weights>> perturbed_weights(const Network& network, const SparseDelta& delta);
/// The weights that image `sample` (row of `image`, [1 x values], moved as delta.images says) sees, as float,
/// each rounded toward the base weight so that the threat set contains it exactly: abs(W^ - W) <= R holds in
/// exact arithmetic.
std::vector<std::optional<Weights>> perturbed_weights(const Network& network, const SampleDelta& delta,
                                                      Index sample, const Matrix& image);

Norms measure(const Network& network, const std::vector<std::optional<Weights>>& layers);
Norms measure(const Network& network, const SparseDelta& delta);

/// A worker's own copy of touched layers, changed and restored bit for bit: apply, evaluate, undo.
class Workspace {
 public:
  explicit Workspace(const Network& network);
  const WeightView& apply(const SparseDelta& delta);
  const WeightView& apply(const DenseDelta& delta);
  void undo();
  const WeightView& view() const { return view_; }

 private:
  const Network* network_;
  std::vector<std::optional<Weights>> own_;  ///< copies, made when first touched
  WeightView view_;
  std::vector<Change> saved_;  ///< sparse: values to put back
};

}  // namespace temblor
