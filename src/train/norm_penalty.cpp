#include "norm_penalty.hpp"

namespace temblor {

double norm_penalty(const WeightView& weights, double mu, std::span<Weights* const> gradients) {
  double total = 0;
  Eigen::RowVectorXd row;
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const Matrix& weight = weights[m]->weight;
    Matrix& gradient = gradients[m]->weight;
    Index widest = 0;
    double largest = 0;
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
    total += largest;
    gradient.row(widest).array() += static_cast<float>(mu) * weight.row(widest).array().sign();
  }
  return mu * total;
}

}  // namespace temblor
