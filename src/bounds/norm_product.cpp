#include <span>

#include <temblor/base/error.hpp>
#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/moves_reach.hpp>
#include <temblor/bounds/norm.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

struct LastLayer {
  MatrixD difference;  // abs(W_y - W_j), [classes x inputs]
  VectorD norm;        // its row sums
};

LastLayer last_layer(const Weights& weights, std::int32_t label) {
  LastLayer last;
  last.difference = margin_rows(weights, nullptr, label).weight.cwiseAbs();
  last.norm = last.difference.rowwise().sum();
  return last;
}

const Radius* box_of(const BoxProblem& problem, int layer) {
  const auto& box = problem.radius[static_cast<std::size_t>(layer)];
  return box && !box->zero() ? &*box : nullptr;
}

// Upper limits on how far a node may be from its unperturbed outputs, by the enclosures alone.
MatrixD enclosed_change(const Enclosures& enclosures, int node) {
  const auto& nominal = enclosures.nominal(node);
  const auto& moved = enclosures.moved(node);
  return (moved.upper - nominal.lower).cwiseMax(nominal.upper - moved.lower) * (1.0 + 0x1p-51);
}

// abs(A) d for an affine layer A z + c, d not negative, [rows x units] each, rounded up.
MatrixD stretched(const Network& network, const Network::Node& node, std::span<const MatrixD> d) {
  std::vector<Interval> boxes;
  std::vector<const Interval*> in;
  Interval out;
  const bool weighted = node.weights >= 0;
  for (const MatrixD& change : d) boxes.push_back({weighted ? change : MatrixD(-change), change});
  for (const Interval& box : boxes) in.push_back(&box);
  if (weighted) {
    const Weights size{network.weights(node.weights).weight.cwiseAbs(), {}};
    node.layer->interval(in, &size, nullptr, out);
    return out.upper;
  }
  node.layer->interval(in, nullptr, nullptr, out);
  return (out.upper - out.lower) * (0.5 * (1 + 0x1p-50));
}

// The budget's part of the drop. A change delta of weight (i, j) of layer m moves the margin by at most S^m_i
// delta abs(z_j), S^L = 1 in rows y and j, S^m = S^{m+1} abs(W^{m+1}); the k largest of these, over all
// layers together, are taken. (p^ - p = W (z^ - z) + dW z^ with the base network's W, so S needs no
// allowance.) Both forms: S is a row of numbers, one a unit, or `Form` makes it the largest of a norm.
class Sensitivity {
 public:
  Sensitivity(const BoxProblem& problem, const Enclosures& enclosures, bool norms)
      : problem_(problem), enclosures_(enclosures), norms_(norms) {}

  // [images x classes]
  MatrixD drops(Index first, Index count) {
    const auto& network = problem_.network;
    const int last = static_cast<int>(network.nodes().size()) - 1;
    MatrixD value = MatrixD::Zero(count, network.classes());
    for (Index n = 0; n < count; ++n) {
      const Index y = problem_.data.labels[static_cast<std::size_t>(first + n)];
      std::vector<Largest> largest(static_cast<std::size_t>(value.cols()),
                                   Largest(problem_.moves.budget.count));
      MatrixD s = MatrixD::Zero(value.cols(), value.cols());  // [pairs x units]
      for (Index j = 0; j < value.cols(); ++j) {
        if (j != y) s(j, y) = s(j, j) = 1;
      }
      for (int k = last; k >= 0; --k) {
        const auto& node = network.nodes()[static_cast<std::size_t>(k)];
        if (node.weights < 0) {
          stop_dead(n, k, s);
          continue;
        }
        collect(n, k, node.weights, s, largest);
        s = k == last ? margins(node.weights, y) : back(node.weights, s);
      }
      for (Index j = 0; j < value.cols(); ++j) value(n, j) = largest[static_cast<std::size_t>(j)].sum();
      value(n, y) = 0;
    }
    return value;
  }

 private:
  void collect(Index n, int k, int layer, const MatrixD& s, std::vector<Largest>& largest) const {
    const Allowance allowance = problem_.moves.allowance(layer);
    if (!allowance) return;
    const auto& inputs = enclosures_.moved(k - 1);
    const VectorD z = inputs.lower.row(n).cwiseAbs().cwiseMax(inputs.upper.row(n).cwiseAbs()).transpose();
    const auto order = descending(z);
    for (Index j = 0; j < s.rows(); ++j) {
      largest[static_cast<std::size_t>(j)].add_products(s.row(j).transpose(), allowance, z, order, false);
    }
  }
  MatrixD margins(int layer, Index y) const {
    const auto row = last_layer(problem_.network.weights(layer), static_cast<std::int32_t>(y));
    if (!norms_) return row.difference;
    return row.norm * Eigen::RowVectorXd::Ones(row.difference.cols());
  }
  MatrixD back(int layer, const MatrixD& s) const {
    const MatrixD weight = problem_.network.weights(layer).weight.cast<double>().cwiseAbs();
    const double grow = 1 + gamma64(weight.rows() + weight.cols() + 16);
    if (!norms_) return s * weight * grow;
    return s.col(0) * (weight.rowwise().sum().maxCoeff() * grow) * Eigen::RowVectorXd::Ones(weight.cols());
  }
  void stop_dead(Index n, int k, MatrixD& s) const {
    if (norms_) return;
    const auto& moved = enclosures_.moved(k);
    for (Index i = 0; i < s.cols(); ++i) {
      if (moved.lower(n, i) == moved.upper(n, i)) s.col(i).setZero();
    }
  }

  const BoxProblem& problem_;
  const Enclosures& enclosures_;
  bool norms_;
};

// d: the largest change of a unit of each node, one number an image.
class MaxNorm {
 public:
  static constexpr bool norms = true;

  static MatrixD of(const MatrixD& changes) { return changes.rowwise().maxCoeff(); }
  static void add_to(MatrixD& z, const MatrixD& d) { z.colwise() += d.col(0); }
  static MatrixD dense(const Weights& weights, const MatrixD& d) {
    return weights.weight.cast<double>().cwiseAbs().rowwise().sum().maxCoeff() * d;
  }
  // The largest row sum of the equivalent matrix, borders of the image included: what ones become.
  static MatrixD weighted(const Network& network, const Network::Node& node, const MatrixD& d, Index units) {
    const MatrixD ones = MatrixD::Ones(1, units);
    return d * (stretched(network, node, {&ones, 1}).maxCoeff() * (1 + 0x1p-52));
  }
  static MatrixD affine(const Network& network, const Network::Node& node, std::span<const MatrixD> d,
                        const std::vector<Index>& units) {
    std::vector<MatrixD> every;
    for (std::size_t i = 0; i < d.size(); ++i) every.push_back(d[i].replicate(1, units[i]));
    return of(stretched(network, node, every));
  }
  static MatrixD max_pool(const Network::Node&, const MatrixD& d) { return d; }
  static void limit(const Enclosures&, int, MatrixD&) {}
  static MatrixD close(const MatrixD& d, const LastLayer& last, const std::vector<Index>& rows) {
    return d(rows, Eigen::all) * last.norm.transpose();
  }
  static double at(const MatrixD& d, Index n, Index) { return d(n, 0); }
};

// d: the change of every unit, after layers without parameters never more than the enclosures allow.
class EachUnit {
 public:
  static constexpr bool norms = false;

  static MatrixD of(MatrixD changes) { return changes; }
  static void add_to(MatrixD& z, const MatrixD& d) { z += d; }
  static MatrixD dense(const Weights& weights, const MatrixD& d) {
    return d * weights.weight.cast<double>().cwiseAbs().transpose();
  }
  static MatrixD weighted(const Network& network, const Network::Node& node, const MatrixD& d, Index) {
    return stretched(network, node, {&d, 1});
  }
  static MatrixD affine(const Network& network, const Network::Node& node, std::span<const MatrixD> d,
                        const std::vector<Index>&) {
    return stretched(network, node, d);
  }
  static MatrixD max_pool(const Network::Node& node, const MatrixD& d) {
    const Interval changes{d, d};
    const Interval* in = &changes;
    Interval out;
    node.layer->interval({&in, 1}, nullptr, nullptr, out);
    return out.upper;
  }
  static void limit(const Enclosures& enclosures, int node, MatrixD& d) {
    d = d.cwiseMin(enclosed_change(enclosures, node));
  }
  static MatrixD close(const MatrixD& d, const LastLayer& last, const std::vector<Index>& rows) {
    return d(rows, Eigen::all) * last.difference.transpose();
  }
  static double at(const MatrixD& d, Index n, Index unit) { return d(n, unit); }
};

/// The walk from node to node that both forms share; `Form` keeps d as one number an image or one a unit.
template <class Form>
class Walk {
 public:
  Walk(const BoxProblem& problem, Index first, Index count)
      : problem_(problem),
        network_(problem.network),
        first_(first),
        count_(count),
        last_(static_cast<int>(network_.nodes().size()) - 1),
        merged_(network_.nodes().back().layer->kind() == "dense"),
        enclosures_(problem, first, count, merged_ ? last_ : last_ + 1),
        d_(network_.nodes().size() + 1) {}

  MatrixD drops() {
    if (enclosures_.touched(-1)) d_[0] = Form::of(enclosed_change(enclosures_, -1));
    for (int k = 0; k < last_ + (merged_ ? 0 : 1); ++k) {
      if (enclosures_.touched(k)) change(k) = next(k);
    }
    return merged_ ? margins() : differences();
  }

 private:
  const Network::Node& node(int k) const { return network_.nodes()[static_cast<std::size_t>(k)]; }
  Index units(int k) const { return k < 0 ? network_.input().size() : node(k).shape.size(); }
  /// Empty where nothing changes.
  MatrixD& change(int k) { return d_[static_cast<std::size_t>(k + 1)]; }

  // Upper limits on abs(z^) of a node, [images x units].
  MatrixD size_of_node(int k) {
    MatrixD size = magnitude(enclosures_.nominal(k));
    if (!enclosures_.touched(k)) return size;
    // d leaves the budget out.
    if (!problem_.moves.budget.zero()) return magnitude(enclosures_.moved(k));
    // abs(z^) <= min(abs(z) + d, the interval's), element-wise.
    Form::add_to(size, change(k));
    return (size * (1.0 + 0x1p-51)).cwiseMin(magnitude(enclosures_.moved(k)));
  }

  // How far the parameters alone move a weighted node, inputs of these sizes, [images x outputs].
  MatrixD reach(int k, const MatrixD& size) const {
    MatrixD reach = MatrixD::Zero(size.rows(), units(k));
    const auto* box = box_of(problem_, node(k).weights);
    if (box == nullptr) return reach;
    ensure(node(k).layer->reach(size, network_.weights(node(k).weights), *box, reach),
           "a layer with parameters says how far they move its outputs");
    return reach;
  }

  MatrixD next(int k) {
    const auto& node = this->node(k);
    if (node.weights >= 0) return next_weighted(k);
    MatrixD d;
    if (node.layer->elementwise() || node.layer->reshapes()) {
      d = change(node.inputs.front());
      if (d.size() == 0) d = Form::of(MatrixD::Zero(count_, units(k)));
    } else if (node.layer->kind() == "max-pool") {
      d = Form::max_pool(node, change(node.inputs.front()));
    } else if (node.layer->affine()) {
      std::vector<MatrixD> inputs;
      std::vector<Index> sizes;
      for (const int input : node.inputs) {
        inputs.push_back(change(input));
        sizes.push_back(units(input));
        if (inputs.back().size() == 0) inputs.back() = Form::of(MatrixD::Zero(count_, sizes.back()));
      }
      d = Form::affine(network_, node, inputs, sizes);
    } else {
      return Form::of(enclosed_change(enclosures_, k));
    }
    if (enclosures_.rounding(k).size() > 0) d += Form::of(enclosures_.rounding(k));
    Form::limit(enclosures_, k, d);
    return d;
  }

  MatrixD next_weighted(int k) {
    const auto& node = this->node(k);
    const Weights& weights = network_.weights(node.weights);
    const int input = node.inputs.front();
    MatrixD moved;
    if (enclosures_.reach(k).size() > 0) {
      moved = enclosures_.reach(k);
    } else {
      const MatrixD size = size_of_node(input);
      moved = reach(k, size);
      moved += ball_reach(network_, problem_.moves, k, size);
    }
    MatrixD d = Form::of(moved);
    if (change(input).size() > 0) {
      d += node.layer->kind() == "dense" ? Form::dense(weights, change(input))
                                         : Form::weighted(network_, node, change(input), units(input));
    }
    return d * (1.0 + gamma64(weights.weight.cols() + 16));
  }

  // A dense last layer: the rows of a pair are one row for what comes from before.
  MatrixD margins() {
    const auto& node = network_.nodes().back();
    const Weights& weights = network_.weights(node.weights);
    const MatrixD size = size_of_node(node.inputs.front());
    const MatrixD moved = reach(last_, size);
    const MatrixD& d = change(node.inputs.front());
    MatrixD value = MatrixD::Zero(count_, network_.classes());
    const auto by_label = rows_by_label(problem_.data, first_, count_);
    for (std::size_t y = 0; y < by_label.size(); ++y) {
      if (by_label[y].empty()) continue;
      const auto label = static_cast<Index>(y);
      if (d.size() > 0) {
        const auto last = last_layer(weights, static_cast<std::int32_t>(y));
        value(by_label[y], Eigen::all) = Form::close(d, last, by_label[y]);
      }
      for (const Index n : by_label[y]) value.row(n).array() += moved.row(n).array() + moved(n, label);
      value(by_label[y], Eigen::all) += balls_on_margins(problem_.moves, node.weights, label,
                                                         size(by_label[y], Eigen::all), network_.classes());
    }
    if (!problem_.moves.budget.zero()) {
      value += Sensitivity(problem_, enclosures_, Form::norms).drops(first_, count_);
    }
    return value * (1.0 + gamma64(weights.weight.cols() + 16));
  }

  MatrixD differences() {
    MatrixD value = MatrixD::Zero(count_, network_.classes());
    const MatrixD& d = change(last_);
    if (d.size() == 0) return value;
    for (Index n = 0; n < count_; ++n) {
      const Index y = problem_.data.labels[static_cast<std::size_t>(first_ + n)];
      for (Index j = 0; j < value.cols(); ++j)
        value(n, j) = (Form::at(d, n, y) + Form::at(d, n, j)) * (1 + 0x1p-52);
    }
    return value;
  }

  const BoxProblem& problem_;
  const Network& network_;
  Index first_;
  Index count_;
  int last_;
  bool merged_;  ///< the last layer is dense
  Enclosures enclosures_;
  std::vector<MatrixD> d_;  ///< of the image, then of every node
};

template <class Form>
MatrixD walked(const BoxProblem& problem, Index first, Index count) {
  return Walk<Form>(problem, first, count).drops();
}

}  // namespace

std::string refuses_norm(const Network& network, const ThreatSet& set) {
  auto why = refuses_set(network, set);
  if (!why.empty() || set.budget.zero()) return why;
  why = refuses_chain(network);
  return why.empty() ? why : "k changes at once are followed on dense chains only: " + why;
}

BoundValues norm_product(const BoundContext& context) {
  return box_bound(context, walked<MaxNorm>);
}
BoundValues norm_vector(const BoundContext& context) {
  return box_bound(context, walked<EachUnit>);
}

}  // namespace temblor
