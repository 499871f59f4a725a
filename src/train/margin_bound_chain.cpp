#include "margin_bound.hpp"
#include "tape.hpp"

#include <utility>

#include <temblor/bounds/enclosure.hpp>

namespace temblor {
namespace {

using Var = Tape::Var;

/// What all weights of the set allow one hidden layer: before and after its activation.
struct Limits {
  Var lower, upper;  ///< pre-activations
  Var least, most;   ///< activations
};

/// One dense layer of the chain, and the activation behind it (-1 for the last).
struct Stage {
  int dense;
  int activation;
};

std::vector<Stage> stages(const Network& network) {
  std::vector<Stage> all;
  for (std::size_t k = 0; k < network.nodes().size(); ++k) {
    const auto& layer = *network.nodes()[k].layer;
    if (layer.weighted()) all.push_back({static_cast<int>(k), -1});
    if (layer.elementwise() && !all.empty()) all.back().activation = static_cast<int>(k);
  }
  return all;
}

/// The computation of one block on a tape. Leaves: weights, biases and hidden outputs; the first layer enters
/// only through its outputs, since a known image moves them by at most eps ||x||_1.
struct Walk {
  Walk(const MarginBoundInput& input, MarginBoundKind kind)
      : network(input.network),
        weights(input.weights),
        labels(input.block.labels),
        eps(input.eps),
        chain(stages(input.network)) {
    const Activations& run = input.run;
    images = input.block.images.rows();
    classes = network.classes();
    for (std::size_t m = 0; m < chain.size(); ++m) {
      const Weights& layer = *weights[m];
      weight.push_back(m == 0 ? Var{} : tape.leaf_of(layer.weight));
      bias.push_back(layer.bias.size() == 0 ? Var{} : tape.leaf_of(layer.bias.transpose()));
      if (chain[m].activation >= 0) hidden.push_back(leaf_of_node(chain[m].activation, run));
    }
    const Var logits = leaf_of_node(chain.back().dense, run);
    margins = tape.leaf(pair_margins(tape.value(logits), labels));
    image_norm = tape.leaf(input.block.images.cast<double>().cwiseAbs().rowwise().sum());
    enclose(run);
    result = bound(kind);
  }

  Var bound(MarginBoundKind kind) {
    switch (kind) {
      case MarginBoundKind::norm_product:
        return norm_product();
      case MarginBoundKind::norm_vector:
        return norm_vector();
      case MarginBoundKind::interval:
        return tape.difference(margins, interval_low());
      case MarginBoundKind::linear:
        break;
    }
    Var low = interval_low();
    if (last() > 1) low = tape.larger(low, linear_low());
    return tape.difference(margins, low);
  }

  Index label(Index n) const { return labels[static_cast<std::size_t>(n)]; }
  std::size_t last() const { return chain.size() - 1; }
  bool has_bias(std::size_t m) const { return weights[m]->bias.size() != 0; }

  Var leaf_of_node(int node, const Activations& run) {
    const Var leaf = tape.leaf_of(run.outputs[static_cast<std::size_t>(node)]);
    outputs.emplace_back(node, leaf);
    return leaf;
  }

  /// Intervals of every hidden layer (theory, section 3; inputs of hidden layers are not negative).
  void enclose(const Activations& run) {
    for (std::size_t m = 0; m < last(); ++m) {
      Limits now{};
      if (m == 0) {
        const Var p = leaf_of_node(chain[0].dense, run);
        now.lower = tape.add_column(p, tape.scaled(image_norm, -eps));
        now.upper = tape.add_column(p, tape.scaled(image_norm, eps));
      } else {
        const auto [middle, half] = middle_and_half(limits.back());
        const Var raised = tape.shifted(weight[m], eps);
        const Var lowered = tape.shifted(weight[m], -eps);
        now.upper = tape.sum(tape.product(middle, raised), tape.product(half, tape.magnitude(raised)));
        now.lower =
            tape.difference(tape.product(middle, lowered), tape.product(half, tape.magnitude(lowered)));
        if (has_bias(m)) {
          now.upper = tape.add_row(now.upper, bias[m]);
          now.lower = tape.add_row(now.lower, bias[m]);
        }
      }
      const auto node = static_cast<std::size_t>(chain[m].activation);
      const bool relu = network.nodes()[node].layer->kind() == "relu";
      now.least = relu ? tape.positive(now.lower) : tape.sigmoid(now.lower);
      now.most = relu ? tape.positive(now.upper) : tape.sigmoid(now.upper);
      limits.push_back(now);
    }
  }

  std::pair<Var, Var> middle_and_half(const Limits& z) {
    return {tape.scaled(tape.sum(z.least, z.most), 0.5), tape.scaled(tape.difference(z.most, z.least), 0.5)};
  }

  /// eps sup ||z^||_1 of the inputs of layer m, at most abs(z) + d or what the intervals allow: [images x 1].
  Var reach(Var moved, std::size_t m) {
    return tape.scaled(tape.row_sums(tape.smaller(moved, limits[m - 1].most)), eps);
  }

  Var norm_product() {
    Var d = tape.scaled(image_norm, eps);
    if (last() == 0) return spread(tape.scaled(d, 2), classes);
    for (std::size_t m = 1;; ++m) {
      const Var step = reach(tape.add_column(hidden[m - 1], d), m);
      if (m == last()) {
        const Var rows = tape.row_sums(tape.magnitude(tape.differences(weight[m], labels)));
        const Var carried = tape.dots(rows, d);
        return tape.add_column(carried, tape.scaled(step, 2));
      }
      d = tape.sum(tape.outer(d, tape.largest_row_norm(weight[m])), step);
    }
  }

  Var norm_vector() {
    const Var first = tape.scaled(image_norm, eps);
    if (last() == 0) return spread(tape.scaled(first, 2), classes);
    Var d = spread(first, tape.value(hidden[0]).cols());
    for (std::size_t m = 1;; ++m) {
      const Limits& z = limits[m - 1];
      d = tape.smaller(
          d, tape.larger(tape.difference(z.most, hidden[m - 1]), tape.difference(hidden[m - 1], z.least)));
      const Var step = reach(tape.sum(hidden[m - 1], d), m);
      if (m == last()) {
        const Var rows = tape.magnitude(tape.differences(weight[m], labels));
        return tape.add_column(tape.dots(rows, d), tape.scaled(step, 2));
      }
      d = tape.add_column(tape.product(d, tape.magnitude(weight[m])), step);
    }
  }

  /// Lower limits of the perturbed margins from the intervals of the last hidden layer.
  Var interval_low() {
    if (last() == 0) return tape.add_column(margins, tape.scaled(image_norm, -2 * eps));
    const auto own = has_bias(last()) ? std::optional(bias[last()]) : std::nullopt;
    return lowest_margins(tape, {weight[last()], own}, limits.back().least, limits.back().most, labels, eps);
  }

  /// The same carried backward through the relaxed units.
  Var linear_low() {
    Var v = tape.shifted(tape.differences(weight[last()], labels), -2 * eps);
    std::vector<Var> constants;
    if (has_bias(last())) constants.push_back(bias_margins(tape, bias[last()], labels));
    for (std::size_t m = last() - 1; m > 0; --m) {
      const Limits& p = limits[m];
      const Var above = tape.chord(p.lower, p.upper);
      const Var offset = tape.scaled(tape.times(tape.negative(p.lower), above), -1);
      const Var under = tape.negative(v);
      constants.push_back(tape.dots(under, offset));
      v = tape.sum(tape.times_image(tape.positive(v), tape.leaf(lower_slopes(p))),
                   tape.times_image(under, above));
      if (has_bias(m)) constants.push_back(tape.folded(tape.product(v, bias[m]), classes));
      const Var size = tape.row_sums(tape.magnitude(v));
      v = tape.add_column(tape.product(v, tape.transposed(weight[m])), tape.scaled(size, -eps));
    }
    // The image is known: activations of the first hidden layer fill a box.
    Var low =
        tape.sum(tape.dots(tape.positive(v), limits[0].least), tape.dots(tape.negative(v), limits[0].most));
    for (const Var constant : constants) low = tape.sum(low, constant);
    return low;
  }

  /// The line below a unit that crosses 0: the identity or 0, whichever leaves the smaller area.
  MatrixD lower_slopes(const Limits& p) const {
    const auto lower = tape.value(p.lower).array();
    const auto upper = tape.value(p.upper).array();
    return (upper > 0 && (lower >= 0 || upper >= -lower)).cast<double>();
  }

  /// One number an image, in every column.
  Var spread(Var column, Index columns) { return tape.outer(column, tape.leaf(MatrixD::Ones(1, columns))); }

  const Network& network;
  const WeightView& weights;
  const std::vector<std::int32_t>& labels;
  double eps;
  std::vector<Stage> chain;
  Index images = 0;
  Index classes = 0;
  Tape tape;
  std::vector<Var> weight, bias;
  std::vector<Var> hidden;                   ///< activations, one a hidden layer
  std::vector<std::pair<int, Var>> outputs;  ///< leaves that are outputs of nodes
  std::vector<Limits> limits;
  Var margins = 0;
  Var image_norm = 0;  ///< ||x||_1, [images x 1]
  Var result = 0;
};

class ChainBound final : public MarginBound {
 public:
  ChainBound(const MarginBoundInput& input, MarginBoundKind kind) : walk_(input, kind) {
    value_ = walk_.tape.value(walk_.result);
    for (Index n = 0; n < walk_.images; ++n) value_(n, walk_.label(n)) = 0;
  }

  const MatrixD& margins() const override { return walk_.tape.value(walk_.margins); }

  void backward(const MatrixD& grad_value, const MatrixD& grad_margins, std::vector<Matrix>& grad_outputs,
                std::span<Weights* const> gradients) override {
    Tape& tape = walk_.tape;
    MatrixD seed = grad_value;
    for (Index n = 0; n < walk_.images; ++n) seed(n, walk_.label(n)) = 0;
    tape.backward(walk_.result, seed);

    const auto add = [&](int node, const MatrixD& gradient) {
      add_gradient(grad_outputs[static_cast<std::size_t>(node)], gradient.cast<float>());
    };
    add(walk_.chain.back().dense,
        logits_from_margins(tape.gradient(walk_.margins) + grad_margins, walk_.labels));
    for (const auto& [node, leaf] : walk_.outputs) {
      if (node != walk_.chain.back().dense) add(node, tape.gradient(leaf));
    }
    for (std::size_t m = 0; m < walk_.chain.size(); ++m) {
      if (m > 0) gradients[m]->weight += tape.gradient(walk_.weight[m]).cast<float>();
      if (walk_.has_bias(m))
        gradients[m]->bias += tape.gradient(walk_.bias[m]).row(0).transpose().cast<float>();
    }
  }

 private:
  Walk walk_;
};

}  // namespace

std::string refuses_chain_bound(const Network& network, MarginBoundKind kind) {
  for (const auto& node : network.nodes()) {
    if (node.layer->weighted() && node.layer->kind() != "dense") {
      return "layer '" + node.name + "' (" + std::string(node.layer->kind()) +
             ") is not dense, and this bound in a loss is that of chains of dense layers";
    }
  }
  if (auto why = refuses_chain(network); !why.empty()) return why;
  bool after_dense = false;
  for (const auto& node : network.nodes()) {
    const std::string name(node.layer->kind());
    if (node.layer->elementwise()) {
      if (!after_dense) return "activation '" + node.name + "' does not follow a dense layer";
      const bool known = name == "relu" || (name == "sigmoid" && kind != MarginBoundKind::linear);
      if (!known) {
        return "activation '" + node.name + "' is " + name +
               (kind == MarginBoundKind::linear ? ", the bound needs relu" : ", which may be negative");
      }
    } else if (after_dense) {
      return "no activation follows the dense layer before '" + node.name + "'";
    }
    after_dense = node.layer->weighted();
  }
  return {};
}

std::unique_ptr<MarginBound> make_chain_bound(const MarginBoundInput& input, MarginBoundKind kind) {
  return std::make_unique<ChainBound>(input, kind);
}

}  // namespace temblor
