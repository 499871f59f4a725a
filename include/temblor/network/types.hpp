#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <Eigen/Core>

namespace temblor {

/// Batches are row-major, one row an image; weights are row-major [outputs x inputs].
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using MatrixD = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;
using VectorD = Eigen::VectorXd;
using Index = Eigen::Index;

/// Shape of one image or of one layer's output, without the batch: {784}, or {channels, height, width}.
struct Shape {
  std::vector<Index> dims;

  Index size() const;
  std::string text() const;  ///< "1x28x28"
  bool operator==(const Shape&) const = default;
};

/// The parameters of one weighted layer: weight [outputs x inputs], bias [outputs], or empty where the layer
/// has none.
struct Weights {
  Matrix weight;
  Vector bias;
};

/// The parameters of a network as layers see them: one pointer a weighted layer, in order. Perturbed networks
/// share the untouched layers and point to their own copies of the touched ones.
using WeightView = std::vector<const Weights*>;

/// The box around one weighted layer's parameters: abs(W^ - W) <= R element-wise, abs(b^ - b) <= r.
/// R is `uniform` everywhere unless `weight` [outputs x inputs] is filled; r likewise with `bias`.
struct Radius {
  double uniform = 0;
  MatrixD weight{};
  double bias_uniform = 0;
  VectorD bias{};

  bool zero() const { return uniform == 0 && weight.size() == 0 && bias_uniform == 0 && bias.size() == 0; }
};

/// Enclosure of a batch of activations: lower <= value <= upper, each [images x units], in double.
struct Interval {
  MatrixD lower;
  MatrixD upper;
};

}  // namespace temblor
