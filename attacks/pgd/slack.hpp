#pragma once

#include "graph.hpp"

#include <optional>
#include <vector>

#include <temblor/perturb/threat.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::pgd {

/// A network under per-image perturbations of some layers, as a function of slack alone (theory, 4b):
///   dense, boxes  p = W z + b + s t,  t = R |z| + r   [units]
///   dense, l2     p = W z + b + u t,  t = radius ||z||_2   (one number an image; l2-row: s in place of u)
///   other kinds   W + R s, b + r s;  W + radius u   (a number a weight, SampleDelta)
/// When the set moves the image, that is an input like the slack.
/// Immutable, shared by the blocks.
class SlackNetwork {
 public:
  struct Layer {
    int node = 0;
    bool l2 = false;
    bool norm = false;       ///< t = radius ||z||_2: l2, or a ball for every row
    bool one_number = true;  ///< t is the same for all units of an image
    float radius = 0;        ///< eps, or the l2 radius
    float bias_radius = 0;
    Matrix radii{};       ///< R [outputs x inputs] where it is not uniform
    Vector bias_radii{};  ///< r [outputs]
    bool own = false;  ///< not dense: every image has weights of its own; then radii and bias_radii are set
    Index group = 0;   ///< numbers that share a ball of radius 1; 0: each is within [-1, 1]
  };

  SlackNetwork(const Network& network, const ThreatSet& set);

  const Network& network() const { return *network_; }
  const pgd::Reach& reach() const { return reach_; }
  const std::vector<Layer>& layers() const { return layers_; }
  /// A box around the set, layer by layer, for the slopes of relaxed ReLUs. For l2 only of its size: the
  /// change that spreads evenly over the weights.
  const std::vector<std::optional<Radius>>& boxes() const { return boxes_; }
  /// How far the images move.
  double input() const { return input_; }
  /// Position in layers() of a node's layer, or -1.
  int slot(int node) const { return slots_[static_cast<std::size_t>(node)]; }
  /// Numbers an image has for a layer.
  Index numbers(std::size_t layer) const { return numbers_[layer]; }
  /// Images whose numbers stay in cache.
  Index block_images() const;

 private:
  const Network* network_;
  LayerSet chosen_;
  pgd::Reach reach_;
  std::vector<Layer> layers_;
  std::vector<std::optional<Radius>> boxes_;
  std::vector<int> slots_;
  std::vector<Index> numbers_;
  double input_;
};

/// Slack of one block of images: one matrix [images x numbers] a chosen layer.
using Slack = std::vector<Matrix>;

/// A few images, small enough for their activations to stay in cache. What comes before the first chosen
/// layer, and its product W z + b, is computed once.
class SlackBlock {
 public:
  SlackBlock(const SlackNetwork& network, const Matrix& images);

  Index images() const { return images_.rows(); }
  /// Moves the images; only where the set does.
  void see(const Matrix& images) { images_ = images; }
  /// Gradient by the images that the last backward() had; empty where they do not move.
  const Matrix& image_gradient() const { return image_gradient_; }
  /// Logits [images x classes].
  const Matrix& forward(const Slack& slack);
  /// Gradient of a loss by the slack the last forward() had, given its gradient by the logits. `soft`: a ReLU
  /// that the set can switch passes its slope (see draw_slopes) of the gradient instead of none or all, so
  /// that the ascent sees past the units that happen to be off.
  void backward(const Slack& slack, const Matrix& grad_logits, bool soft, Slack& grad);
  /// Slopes of the ReLUs with p in [l, u], l < 0 < u: u / (u - l), that of the linear relaxation; with
  /// `stream` jittered by 0.25 standard normals within [0, 1], which sends a restart elsewhere.
  void draw_slopes(Stream* stream);

 private:
  const Matrix& output(int node) const;
  void lengths(const SlackNetwork::Layer& layer, const Matrix& input, Matrix& result) const;
  void set_own(const SlackNetwork::Layer& layer, const Weights& base, const float* slack);
  void forward_own(std::size_t k, const Network::Node& node, const Slack& slack, Matrix& out);
  void backward_own(std::size_t k, const Network::Node& node, const Slack& slack, const Matrix& out,
                    const Matrix& grad_out, Matrix* grad_in, Matrix& grad);
  void add_input_gradient(const SlackNetwork::Layer& layer, const Matrix& input, const Matrix& lengths,
                          Matrix& by_slack, Matrix& grad_in);

  const SlackNetwork* network_;
  Matrix images_;
  Matrix own_images_;
  Matrix image_gradient_;
  Activations fixed_;
  Slack products_;           ///< W z + b of chosen layers with fixed input
  Slack lengths_;            ///< t of chosen layers: [images x units], or [images x 1]
  std::vector<Matrix> out_;  ///< by node, moving ones
  std::vector<Matrix> grad_;
  std::vector<Matrix> relaxed_;  ///< by node: u / (u - l) of moving ReLUs
  std::vector<Matrix> slopes_;   ///< by node: those in use
  Matrix scratch_;
  Weights own_;  ///< of one image
  Weights own_grad_;
};

}  // namespace temblor::pgd
