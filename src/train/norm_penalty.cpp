#include "norm_penalty.hpp"

#include <array>

namespace temblor {
namespace {

double dense_norms(const Matrix& weight, double mu, Matrix& gradient) {
  double total = 0;
  Index widest = 0;
  double largest = 0;
  Eigen::RowVectorXd row;
  for (Index i = 0; i < weight.rows(); ++i) {
    row = weight.row(i).cast<double>();
    const double length = row.norm();
    const double size = row.cwiseAbs().sum();
    total += length;
    if (length > 0) gradient.row(i) += static_cast<float>(mu / length) * weight.row(i);
    if (size > largest) {
      largest = size;
      widest = i;
    }
  }
  gradient.row(widest).array() += static_cast<float>(mu) * weight.row(widest).array().sign();
  return total + largest;
}

/// The sum over a row of the equivalent matrix of any function of its entries is the layer's output for an
/// image of ones.
double convolution_norms(const Layer& layer, Index inputs, const Matrix& weight, double mu,
                         Matrix& gradient) {
  const Matrix ones = Matrix::Ones(1, inputs);
  const std::array<const Matrix*, 1> in = {&ones};
  const std::array<Matrix*, 1> none = {nullptr};
  const auto rows_of = [&](const Weights& entries) {
    Matrix rows;
    layer.forward(in, &entries, rows);
    return rows;
  };
  const auto by_entries = [&](const Weights& entries, const Matrix& rows, const Matrix& by_rows) {
    Weights by{Matrix::Zero(weight.rows(), weight.cols()), {}};
    layer.backward(in, rows, &entries, by_rows, none, &by);
    return by.weight;
  };
  const Weights squares{weight.cwiseAbs2(), {}};
  const Matrix lengths = rows_of(squares).cwiseSqrt();
  const Matrix by_lengths = (lengths.array() > 0).select(0.5F / lengths.array(), 0.0F);
  gradient.array() +=
      static_cast<float>(mu) * by_entries(squares, lengths, by_lengths).array() * 2 * weight.array();

  const Weights sizes{weight.cwiseAbs(), {}};
  const Matrix sums = rows_of(sizes);
  Index widest = 0;
  const double largest = static_cast<double>(sums.row(0).maxCoeff(&widest));
  Matrix by_sums = Matrix::Zero(1, sums.cols());
  by_sums(0, widest) = 1;
  gradient.array() +=
      static_cast<float>(mu) * by_entries(sizes, sums, by_sums).array() * weight.array().sign();
  return lengths.cast<double>().sum() + largest;
}

}  // namespace

double norm_penalty(const Network& network, const WeightView& weights, double mu,
                    std::span<Weights* const> gradients) {
  double total = 0;
  for (int layer = 0; layer < network.layers(); ++layer) {
    const auto m = static_cast<std::size_t>(layer);
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(network.node_of(layer))];
    const Matrix& weight = weights[m]->weight;
    Matrix& gradient = gradients[m]->weight;
    if (node.layer->kind() == "conv2d") {
      const int from = node.inputs.front();
      const Shape& shape = from < 0 ? network.input() : network.nodes()[static_cast<std::size_t>(from)].shape;
      total += convolution_norms(*node.layer, shape.size(), weight, mu, gradient);
    } else {
      total += dense_norms(weight, mu, gradient);
    }
  }
  return mu * total;
}

}  // namespace temblor
