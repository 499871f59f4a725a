#include <algorithm>
#include <cmath>

#include <Eigen/SVD>

#include <temblor/base/error.hpp>
#include <temblor/generalize/margin_bound.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

// norm_2 of a matrix whose columns are nearly orthonormal.
double orthonormal_limit(const Eigen::MatrixXd& q) {
  const Eigen::MatrixXd gram = q.transpose() * q;
  const double off = (gram - Eigen::MatrixXd::Identity(gram.rows(), gram.cols())).norm();
  const double rounding = gamma64(q.rows() + 4) * (q.squaredNorm() + 1) + gamma64(2 * gram.size()) * off;
  return std::sqrt(1 + off + rounding) * (1 + 0x1p-50);
}

}  // namespace

double spectral_limit(const Matrix& weight) {
  // Tall, so that U holds as many columns as there are singular values.
  const Eigen::MatrixXd w = weight.rows() >= weight.cols()
                                ? Eigen::MatrixXd(weight.cast<double>())
                                : Eigen::MatrixXd(weight.cast<double>().transpose());
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(w, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const auto& u = svd.matrixU();
  const auto& v = svd.matrixV();
  const auto& s = svd.singularValues();
  const Eigen::MatrixXd rest = w - u * s.asDiagonal() * v.transpose();
  const double size = u.norm() * s.maxCoeff() * v.norm() + w.norm();
  const double residual = rest.norm() + gamma64(w.rows() + 2 * w.cols() + 8) * size;
  const double limit = orthonormal_limit(u) * s.maxCoeff() * orthonormal_limit(v) + residual;
  return limit * (1 + gamma64(w.size() + 16));
}

std::vector<LayerNorms> layer_norms(const Network& network) {
  std::vector<LayerNorms> norms;
  for (int m = 0; m < network.layers(); ++m) {
    const Matrix& weight = network.weights(m).weight;
    const MatrixD size = weight.cast<double>().cwiseAbs();
    const double up = 1 + gamma64(size.size() + 16);
    LayerNorms layer;
    layer.name = network.layer_name(m);
    layer.inputs = weight.cols();
    layer.outputs = weight.rows();
    layer.spectral = spectral_limit(weight);
    layer.two_one = size.rowwise().norm().sum() * up;
    layer.row = size.rowwise().sum().maxCoeff() * up;
    layer.column = size.colwise().sum().maxCoeff() * up;
    // The Frobenius norm is a limit, too, and the better one for a single row or column.
    layer.spectral = std::min(layer.spectral, size.norm() * up);
    norms.push_back(std::move(layer));
  }
  return norms;
}

DataNorms data_norms(const Dataset& data) {
  DataNorms norms;
  norms.images = data.size();
  norms.image_l1.resize(data.size());
  double squares = 0;
  for (Index n = 0; n < data.size(); ++n) {
    const auto image = data.images.row(n).cast<double>();
    norms.image_l1(n) = image.cwiseAbs().sum() * (1 + gamma64(data.images.cols() + 8));
    squares += image.squaredNorm();
  }
  norms.l1 = data.size() > 0 ? norms.image_l1.maxCoeff() : 0;
  norms.frobenius = std::sqrt(squares) * (1 + gamma64(data.size() + data.images.cols() + 8));
  return norms;
}

std::string refuses_margin_bound(const Network& network) {
  const auto& nodes = network.nodes();
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const auto& node = nodes[k];
    const auto kind = node.layer->kind();
    if (node.inputs != std::vector<int>{static_cast<int>(k) - 1}) return "its layers do not form a chain";
    if (kind == "dense") {
      const auto& bias = network.weights(node.weights).bias;
      if (bias.size() > 0 && !bias.isZero(0)) {
        return "layer " + network.layer_name(node.weights) + " has biases, which the theorem does not have";
      }
    } else if (kind != "relu" && kind != "tanh" && !node.layer->reshapes()) {
      return "layer '" + node.name + "' (" + std::string(kind) +
             ") is not covered: only dense, relu and tanh are";
    }
  }
  if (nodes.back().layer->kind() != "dense") return "it does not end in a dense layer";
  return {};
}

}  // namespace temblor
