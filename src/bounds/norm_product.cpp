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

// Upper limits on (R^k u + r^k), [images x outputs].
template <class Form>
MatrixD reach_of(const BoxProblem& problem, const Enclosures& enclosures, int k, bool enclosed,
                 const Form& form) {
  const auto& node = problem.network.nodes()[static_cast<std::size_t>(k)];
  const Index outputs = node.shape.size();
  const auto* box = box_of(problem, node.weights);
  if (enclosed && enclosures.reach(k).size() > 0) return enclosures.reach(k);
  MatrixD size = magnitude(enclosures.nominal(k - 1));
  if (box == nullptr) return MatrixD::Zero(size.rows(), outputs);
  if (enclosures.touched(k - 1)) {
    // abs(z^) <= min(abs(z) + d, the interval's), element-wise.
    form.add_to(size);
    size = (size * (1.0 + 0x1p-51)).cwiseMin(magnitude(enclosures.moved(k - 1)));
  }
  return radius_reach(*box, outputs, size);
}

// Both forms share the walk along the chain; `Form` keeps d as one number an image or one a unit.
template <class Form>
MatrixD chain_bound(const BoxProblem& problem, Index first, Index count) {
  const auto& network = problem.network;
  const int last = static_cast<int>(network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  Form form(count, network.input().size());
  for (int k = 0; k <= last; ++k) {
    const auto& node = network.nodes()[static_cast<std::size_t>(k)];
    if (node.weights < 0) {
      form.activation(enclosures, k, problem.float32 ? node.layer->float_error() : 0.0);
      continue;
    }
    const auto& weights = network.weights(node.weights);
    const MatrixD reach = reach_of(problem, enclosures, k, k < last, form);
    if (k < last) {
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
    }
    return value * (1.0 + gamma64(weights.weight.cols() + 16));
  }
  return {};
}

// d_k: the largest change of a unit, one number an image.
class MaxNorm {
 public:
  MaxNorm(Index images, Index) : d_(VectorD::Zero(images)) {}
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
  EachUnit(Index images, Index inputs) : d_(MatrixD::Zero(images, inputs)) {}
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
  auto why = refuses_box(network, set);
  return why.empty() ? refuses_chain(network) : why;
}

BoundValues norm_product(const BoundContext& context) {
  return box_bound(context, chain_bound<MaxNorm>);
}
BoundValues norm_vector(const BoundContext& context) {
  return box_bound(context, chain_bound<EachUnit>);
}

}  // namespace temblor
