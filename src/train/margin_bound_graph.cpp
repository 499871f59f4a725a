#include "folded_norm.hpp"
#include "margin_bound.hpp"
#include "weight_box.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace temblor {
namespace {

const Network::Node& node_at(const Network& network, int node) {
  return network.nodes()[static_cast<std::size_t>(node)];
}

/// Whether larger inputs never give smaller outputs: the bounds of the inputs then give those of the outputs.
bool monotone(const Layer& layer) {
  static constexpr std::array kinds = {"max-pool", "average-pool", "global-average-pool",
                                       "concat",   "flatten",      "reshape",
                                       "slice",    "pad",          "transpose"};
  if (layer.kind() == "add") {
    const auto signs = layer.options().at("signs");
    return std::all_of(signs.begin(), signs.end(), [](double sign) { return sign > 0; });
  }
  return layer.elementwise() || std::find(kinds.begin(), kinds.end(), layer.kind()) != kinds.end();
}

/// Whether outputs are never below 0: whatever the inputs, or where no input is.
bool never_negative(const Layer& layer, bool inputs_negative) {
  const auto kind = layer.kind();
  if (kind == "clip") return layer.options().at("low").front() >= 0;
  if (kind == "relu" || kind == "sigmoid") return true;
  return !inputs_negative && !(kind == "pad" && layer.options().at("value").front() < 0);
}

/// Interval propagation on a graph, node by node, for outputs that weights can move.
class GraphBound final : public MarginBound {
 public:
  explicit GraphBound(const MarginBoundInput& input)
      : network_(input.network),
        weights_(input.weights),
        images_(input.block.images),
        labels_(input.block.labels),
        run_(input.run),
        eps_(input.eps),
        bands_(network_.nodes().size()) {
    for (int k = 0; k < last(); ++k) enclose(k);
    const Network::Node& node = node_at(network_, last());
    const int source = node.inputs.front();
    between_ = tape_.leaf(pair_margins(run_.outputs.back().cast<double>(), labels_));
    if (moved(source)) {
      const Weights& own = *weights_[static_cast<std::size_t>(node.weights)];
      top_.weight = tape_.leaf_of(own.weight);
      if (own.bias.size() != 0) top_.bias = tape_.leaf_of(own.bias.transpose());
      least_ = tape_.leaf_of(band(source).lower);
      most_ = tape_.leaf_of(band(source).upper);
      low_ = lowest_margins(tape_, top_, least_, most_, labels_, eps_);
    } else {
      const MatrixD size = run_.of(source, images_).cast<double>().cwiseAbs().rowwise().sum();
      low_ = tape_.add_column(between_, tape_.leaf(-2 * eps_ * size));
    }
    value_ = margins() - tape_.value(low_);
    clear_labels(value_);
  }

  const MatrixD& margins() const override { return tape_.value(between_); }

  void backward(const MatrixD& grad_value, const MatrixD& grad_margins, std::vector<Matrix>& grad_outputs,
                std::span<Weights* const> gradients) override {
    MatrixD by_low = -grad_value;
    clear_labels(by_low);
    tape_.backward(low_, by_low);
    const MatrixD by_margins = tape_.gradient(between_) + grad_margins - by_low;
    add_gradient(grad_outputs.back(), logits_from_margins(by_margins, labels_).cast<float>());
    const Network::Node& node = node_at(network_, last());
    const int source = node.inputs.front();
    if (!moved(source)) return;
    Weights& own = *gradients[static_cast<std::size_t>(node.weights)];
    own.weight += tape_.gradient(top_.weight).cast<float>();
    if (top_.bias) own.bias += tape_.gradient(*top_.bias).row(0).transpose().cast<float>();
    std::vector<Band> by(bands_.size());
    by[static_cast<std::size_t>(source)] = {tape_.gradient(least_).cast<float>(),
                                            tape_.gradient(most_).cast<float>()};
    for (int k = last() - 1; k >= 0; --k) {
      Band& above = by[static_cast<std::size_t>(k)];
      if (above.lower.size() == 0) continue;
      if (boxes_.contains(k)) {
        weighted_back(k, above, by, grad_outputs, gradients);
      } else {
        monotone_back(k, above, by);
      }
      above = {};
    }
  }

 private:
  /// A weighted layer, with the batch-norm node behind it if there is one: then it is in its place.
  struct Box {
    int layer = 0;  ///< node of the layer itself
    std::optional<FoldedNorm> folded;
    std::optional<WeightBox> box;
  };

  int last() const { return static_cast<int>(bands_.size()) - 1; }
  bool moved(int node) const { return node >= 0 && band(node).lower.size() != 0; }
  const Band& band(int node) const { return bands_[static_cast<std::size_t>(node)]; }
  void clear_labels(MatrixD& pairs) const {
    for (Index n = 0; n < pairs.rows(); ++n) pairs(n, labels_[static_cast<std::size_t>(n)]) = 0;
  }

  void enclose(int k) {
    const Network::Node& node = node_at(network_, k);
    if (normalises(*node_at(network_, k + 1).layer)) return;
    if (node.layer->weighted()) {
      enclose_weighted(k);
      return;
    }
    if (std::none_of(node.inputs.begin(), node.inputs.end(), [&](int input) { return moved(input); })) return;
    Band& out = bands_[static_cast<std::size_t>(k)];
    node.layer->forward(bounds(node, &Band::lower), nullptr, out.lower);
    node.layer->forward(bounds(node, &Band::upper), nullptr, out.upper);
  }

  void enclose_weighted(int k) {
    Box& own = boxes_[k];
    own.layer = normalises(*node_at(network_, k).layer) ? k - 1 : k;
    const Network::Node& node = node_at(network_, own.layer);
    const Weights* weights = weights_[static_cast<std::size_t>(node.weights)];
    if (own.layer != k) {
      const int norm = node_at(network_, k).weights;
      own.folded.emplace(*weights, *weights_[static_cast<std::size_t>(norm)], run_.of(own.layer, images_));
      weights = &own.folded->weights();
    }
    own.box.emplace(*node.layer, *weights, eps_);
    const int source = node.inputs.front();
    bands_[static_cast<std::size_t>(k)] =
        moved(source) ? own.box->enclose(band(source))
                      : own.box->enclose(run_.of(source, images_), run_.of(k, images_));
  }

  /// What a layer without parameters reads, from one side.
  std::vector<const Matrix*> bounds(const Network::Node& node, Matrix Band::*side) const {
    std::vector<const Matrix*> inputs;
    for (const int input : node.inputs)
      inputs.push_back(moved(input) ? &(band(input).*side) : &run_.of(input, images_));
    return inputs;
  }

  /// The gradient by a node's bounds, from zeros on; null where weights do not move it.
  Band* gradient(int node, std::vector<Band>& by) const {
    if (!moved(node)) return nullptr;
    Band& own = by[static_cast<std::size_t>(node)];
    const Matrix& like = band(node).lower;
    if (own.lower.size() == 0) own.lower = own.upper = Matrix::Zero(like.rows(), like.cols());
    return &own;
  }

  void monotone_back(int k, const Band& above, std::vector<Band>& by) const {
    const Network::Node& node = node_at(network_, k);
    for (const auto side : {&Band::lower, &Band::upper}) {
      std::vector<Matrix*> below;
      for (const int input : node.inputs) {
        Band* own = gradient(input, by);
        below.push_back(own == nullptr ? nullptr : &(own->*side));
      }
      node.layer->backward(bounds(node, side), band(k).*side, nullptr, above.*side, below, nullptr);
    }
  }

  void weighted_back(int k, const Band& above, std::vector<Band>& by, std::vector<Matrix>& grad_outputs,
                     std::span<Weights* const> gradients) const {
    const Box& own = boxes_.at(k);
    const Network::Node& node = node_at(network_, own.layer);
    const int source = node.inputs.front();
    if (!moved(source)) {
      // Known inputs: both bounds are the output and a constant.
      add_gradient(grad_outputs[static_cast<std::size_t>(k)], above.lower + above.upper);
      return;
    }
    Weights& direct = *gradients[static_cast<std::size_t>(node.weights)];
    if (!own.folded) {
      own.box->backward(band(source), above, *gradient(source, by), direct);
      return;
    }
    const Weights& like = own.folded->weights();
    Weights by_folded{Matrix::Zero(like.weight.rows(), like.weight.cols()), Vector::Zero(like.bias.size())};
    own.box->backward(band(source), above, *gradient(source, by), by_folded);
    Weights& by_norm = *gradients[static_cast<std::size_t>(node_at(network_, k).weights)];
    add_gradient(grad_outputs[static_cast<std::size_t>(own.layer)],
                 own.folded->backward(by_folded, direct, by_norm));
  }

  const Network& network_;
  const WeightView& weights_;
  const Matrix& images_;
  const std::vector<std::int32_t>& labels_;
  const Activations& run_;
  double eps_;
  std::vector<Band> bands_;   ///< one a node; empty where no weight comes before
  std::map<int, Box> boxes_;  ///< by the node whose outputs they bound
  Tape tape_;
  LastLayer top_{};
  Tape::Var between_ = 0;  ///< f^{yj}
  Tape::Var least_ = 0, most_ = 0;
  Tape::Var low_ = 0;  ///< lower limits of the margins
};

}  // namespace

std::string refuses_graph_bound(const Network& network) {
  const auto& nodes = network.nodes();
  if (nodes.empty() || nodes.back().layer->kind() != "dense") return "the last layer is not dense";
  struct Outputs {
    bool moved = false;  ///< a weighted layer comes before
    bool negative = true;
  };
  std::vector<Outputs> known(nodes.size());
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const Layer& layer = *nodes[k].layer;
    const std::string name = "layer '" + nodes[k].name + "' (" + std::string(layer.kind()) + ")";
    Outputs in{false, false};
    for (const int input : nodes[k].inputs) {
      const Outputs own = input < 0 ? Outputs{} : known[static_cast<std::size_t>(input)];
      in = {in.moved || own.moved, in.negative || own.negative};
    }
    known[k] = {true, true};
    if (normalises(layer)) continue;  // directly behind its convolution
    if (layer.weighted()) {
      if (layer.kind() != "dense" && layer.kind() != "conv2d")
        return name +
               " has weights and is neither dense nor a convolution, which is what bound=interval of a loss "
               "covers";
      if (in.moved && in.negative)
        return name +
               " reads activations that may be negative: bound=interval of a loss needs relu or sigmoid "
               "before it";
      continue;
    }
    if (in.moved && !monotone(layer)) return name + " is not monotone, as bound=interval of a loss needs it";
    known[k] = {in.moved, !never_negative(layer, in.negative)};
  }
  return {};
}

std::unique_ptr<MarginBound> make_graph_bound(const MarginBoundInput& input) {
  return std::make_unique<GraphBound>(input);
}

}  // namespace temblor
