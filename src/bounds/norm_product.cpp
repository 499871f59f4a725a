#include <temblor/bounds/enclosure.hpp>
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

// Upper limits on abs(z^) of a layer's inputs, [images x inputs].
template <class Form>
MatrixD input_size(const BoxProblem& problem, const Enclosures& enclosures, int k, const Form& form) {
  MatrixD size = magnitude(enclosures.nominal(k - 1));
  if (!enclosures.touched(k - 1)) return size;
  // d leaves the budget out.
  if (!problem.moves.budget.zero()) return magnitude(enclosures.moved(k - 1));
  // abs(z^) <= min(abs(z) + d, the interval's), element-wise.
  form.add_to(size);
  return (size * (1.0 + 0x1p-51)).cwiseMin(magnitude(enclosures.moved(k - 1)));
}

// Upper limits on (R^k u + r^k), [images x outputs].
MatrixD box_reach(const BoxProblem& problem, int layer, const MatrixD& size) {
  const Index outputs = problem.network.weights(layer).weight.rows();
  const auto* box = box_of(problem, layer);
  return box == nullptr ? MatrixD::Zero(size.rows(), outputs) : radius_reach(*box, outputs, size);
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

// Both forms share the walk along the chain; `Form` keeps d as one number an image or one a unit.
template <class Form>
MatrixD chain_bound(const BoxProblem& problem, Index first, Index count) {
  const auto& network = problem.network;
  const int last = static_cast<int>(network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  Form form(count, network.input().size());
  if (enclosures.touched(-1)) form.image(enclosures.nominal(-1), enclosures.moved(-1));
  for (int k = 0; k <= last; ++k) {
    const auto& node = network.nodes()[static_cast<std::size_t>(k)];
    if (node.weights < 0) {
      form.activation(enclosures, k, problem.float32 ? node.layer->float_error() : 0.0);
      continue;
    }
    const auto& weights = network.weights(node.weights);
    if (k < last && enclosures.reach(k).size() > 0) {
      form.dense(weights, enclosures.reach(k));
      continue;
    }
    const MatrixD size = input_size(problem, enclosures, k, form);
    MatrixD reach = box_reach(problem, node.weights, size);
    if (k < last) {
      reach.colwise() += ball_reach(problem.moves, node.weights, size);
      form.dense(weights, reach);
      continue;
    }
    MatrixD value(count, network.classes());
    const auto by_label = rows_by_label(problem.data, first, count);
    for (std::size_t y = 0; y < by_label.size(); ++y) {
      if (by_label[y].empty()) continue;
      const auto differences = last_layer(weights, static_cast<std::int32_t>(y));
      form.close(differences, by_label[y], value);
      for (const Index n : by_label[y])
        value.row(n).array() += reach.row(n).array() + reach(n, static_cast<Index>(y));
      value(by_label[y], Eigen::all) += balls_on_margins(problem.moves, node.weights, static_cast<Index>(y),
                                                         size(by_label[y], Eigen::all), network.classes());
    }
    if (!problem.moves.budget.zero()) {
      value += Sensitivity(problem, enclosures, Form::norms).drops(first, count);
    }
    return value * (1.0 + gamma64(weights.weight.cols() + 16));
  }
  return {};
}

MatrixD image_moves(const Interval& nominal, const Interval& moved) {
  return (moved.upper - nominal.lower).cwiseMax(nominal.upper - moved.lower) * (1.0 + 0x1p-51);
}

// d_k: the largest change of a unit, one number an image.
class MaxNorm {
 public:
  static constexpr bool norms = true;

  MaxNorm(Index images, Index) : d_(VectorD::Zero(images)) {}
  void image(const Interval& nominal, const Interval& moved) {
    d_ = image_moves(nominal, moved).rowwise().maxCoeff();
  }
  void add_to(MatrixD& z) const { z.colwise() += d_; }
  void activation(const Enclosures&, int, double rounding) { d_.array() += rounding; }
  void dense(const Weights& weights, const MatrixD& reach) {
    VectorD next = reach.rowwise().maxCoeff();
    if (d_.maxCoeff() > 0) next += weights.weight.cast<double>().cwiseAbs().rowwise().sum().maxCoeff() * d_;
    d_ = next * (1.0 + gamma64(weights.weight.cols() + 16));
  }
  void close(const LastLayer& last, const std::vector<Index>& rows, MatrixD& value) const {
    for (const Index n : rows) value.row(n) = d_(n) * last.norm.transpose();
  }

 private:
  VectorD d_;
};

// d^k: the change of every unit, never more than its interval allows.
class EachUnit {
 public:
  static constexpr bool norms = false;

  EachUnit(Index images, Index inputs) : d_(MatrixD::Zero(images, inputs)) {}
  void image(const Interval& nominal, const Interval& moved) {
    d_ = image_moves(nominal, moved);
    any_ = true;
  }
  void add_to(MatrixD& z) const { z += d_; }
  void activation(const Enclosures& enclosures, int node, double rounding) {
    d_.array() += rounding;
    if (!enclosures.touched(node)) return;
    const auto& nominal = enclosures.nominal(node);
    const auto& moved = enclosures.moved(node);
    d_ = d_.cwiseMin((moved.upper - nominal.lower).cwiseMax(nominal.upper - moved.lower) * (1.0 + 0x1p-51));
    any_ = true;
  }
  void dense(const Weights& weights, const MatrixD& reach) {
    MatrixD next = reach;
    if (any_) next.noalias() += d_ * weights.weight.cast<double>().cwiseAbs().transpose();
    d_ = next * (1.0 + gamma64(weights.weight.cols() + 16));
    any_ = any_ || reach.maxCoeff() > 0;
  }
  void close(const LastLayer& last, const std::vector<Index>& rows, MatrixD& value) const {
    for (const Index n : rows) value.row(n).noalias() = d_.row(n) * last.difference.transpose();
  }

 private:
  MatrixD d_;
  bool any_ = false;
};

}  // namespace

std::string refuses_norm(const Network& network, const ThreatSet& set) {
  auto why = refuses_set(network, set);
  return why.empty() ? refuses_chain(network) : why;
}

BoundValues norm_product(const BoundContext& context) {
  return box_bound(context, chain_bound<MaxNorm>);
}
BoundValues norm_vector(const BoundContext& context) {
  return box_bound(context, chain_bound<EachUnit>);
}

}  // namespace temblor
