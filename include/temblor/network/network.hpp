#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <temblor/network/layer.hpp>
#include <temblor/network/types.hpp>

namespace temblor {

struct Encoded;

/// How raw image values become network inputs: x = (raw * scale - mean[c]) / std[c], c the channel. mean and
/// std have one entry, or one a channel.
struct InputScaling {
  double scale = 1.0 / 255.0;
  std::vector<double> mean{0.0};
  std::vector<double> std{1.0};

  bool operator==(const InputScaling&) const = default;
  std::string text() const;  ///< "x = (raw * 0.00392156862745098 - 0) / 1"
};

/// A feed-forward network: a directed acyclic graph of layers in topological order. The input is node -1. The
/// last node gives the logits.
class Network {
 public:
  struct Node {
    std::string name;
    std::shared_ptr<const Layer> layer;
    std::vector<int> inputs;  ///< earlier nodes; -1 is the image
    int weights = -1;         ///< index of the weighted layer, or -1
    Shape shape;              ///< of the output
  };

  Network(Shape input, InputScaling scaling);  ///< bad-input error where they are impossible or do not fit

  /// Appends a node and returns its index. Shapes are checked; NaN or infinite parameters are refused (bad
  /// input). `inputs` empty means the previous node.
  int add(std::shared_ptr<const Layer> layer, Weights weights = {}, std::vector<int> inputs = {},
          std::string name = {});

  const Shape& input() const { return input_; }
  const InputScaling& scaling() const { return scaling_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  Index classes() const;  ///< units of the last node; at least 2 once valid
  int layers() const { return static_cast<int>(weights_.size()); }  ///< number of weighted layers, L
  const Weights& weights(int layer) const { return *weights_.at(static_cast<std::size_t>(layer)); }
  int node_of(int layer) const;  ///< node of a weighted layer
  const std::string& layer_name(int layer) const;
  Index weight_count() const;  ///< number of weights, biases not counted
  Index bias_count() const;

  /// The stored codes that a layer's weights are decoded from; null where the weights are floats.
  const Encoded* codes(int layer) const { return codes_.at(static_cast<std::size_t>(layer)).get(); }
  /// Gives a layer stored codes: its weights become what they decode to, biases stay. The codes stay until
  /// the weights are replaced. Bad-input error where a code has no finite value.
  void set_codes(int layer, Encoded codes);

  /// The same graph with another set of parameters for one layer (shapes must agree, values are not checked:
  /// a faulted weight may be NaN). The other layers are shared.
  Network with(int layer, Weights weights) const;
  WeightView view() const;

  /// SHA-256 over graph, shapes, parameter bytes and stored codes: the identity of the network, wherever it
  /// is stored.
  std::string id() const;
  /// "784-128-64-32-10, relu, no biases" for chains, a node count otherwise.
  std::string summary() const;

 private:
  Shape input_;
  InputScaling scaling_;
  std::vector<Node> nodes_;
  std::vector<std::shared_ptr<const Weights>> weights_;
  std::vector<std::shared_ptr<const Encoded>> codes_;  ///< one a weighted layer, or null
};

/// Outputs of every node for one batch, [images x units] each, in node order.
struct Activations {
  std::vector<Matrix> outputs;

  const Matrix& of(int node, const Matrix& images) const {
    return node < 0 ? images : outputs[static_cast<std::size_t>(node)];
  }
};

/// Runs nodes [first, last] in order; outputs of nodes before `first` must be in `activations`.
void forward(const Network& network, const WeightView& weights, const Matrix& images,
             Activations& activations, int first = 0);
/// Logits [images x classes], image blocks of fixed size so that activations stay in cache. Equal to the last
/// output of forward() bit for bit, whatever the threads. `threads` true: blocks run in parallel.
Matrix logits(const Network& network, const WeightView& weights, const Matrix& images, bool threads = false);

/// Gradient of a scalar loss by the parameters of the wanted layers: `grad_logits` is the loss's gradient by
/// the logits. grads[m] is added to where non-null and sized like the parameters.
void backward(const Network& network, const WeightView& weights, const Matrix& images,
              const Activations& activations, const Matrix& grad_logits, std::span<Weights* const> grads);
/// The same for a loss that also depends on hidden outputs directly: `grad_outputs` has one entry a node, the
/// loss's gradient by that node's output where the output is held fixed behind it; empty where there is none.
void backward(const Network& network, const WeightView& weights, const Matrix& images,
              const Activations& activations, std::vector<Matrix> grad_outputs,
              std::span<Weights* const> grads);

/// Encloses every node's outputs for all networks within the boxes (one a weighted layer; null: not
/// perturbed).
std::vector<Interval> interval_forward(const Network& network, const WeightView& weights,
                                       std::span<const Radius* const> radius, const Interval& images);

/// Parses "784-128-64-32-10" into a network of dense layers with `activation` between them and zero weights.
Network multilayer_perceptron(const std::string& arch, const std::string& activation, bool biases,
                              const InputScaling& scaling, const Shape& input);

}  // namespace temblor
