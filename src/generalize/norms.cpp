#include <algorithm>
#include <array>
#include <cmath>

#include <Eigen/SVD>

#include <temblor/base/error.hpp>
#include <temblor/generalize/margin_bound.hpp>
#include <temblor/network/affine_interval.hpp>
#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

// norm_2 of a matrix whose columns are nearly orthonormal.
double orthonormal_limit(const Eigen::MatrixXd& q) {
  const Eigen::MatrixXd gram = q.transpose() * q;
  const double off = (gram - Eigen::MatrixXd::Identity(gram.rows(), gram.cols())).norm();
  const double rounding = gamma64(q.rows() + 4) * (q.squaredNorm() + 1) + gamma64(2 * gram.size()) * off;
  return std::sqrt(1 + off + rounding) * (1 + 0x1p-50);
}

LayerNorms dense_norms(const Matrix& weight) {
  const MatrixD size = weight.cast<double>().cwiseAbs();
  const double up = 1 + gamma64(size.size() + 16);
  LayerNorms layer;
  layer.inputs = weight.cols();
  layer.outputs = layer.readers = weight.rows();
  layer.spectral = spectral_limit(weight);
  layer.two_one = size.rowwise().norm().sum() * up;
  layer.row = size.rowwise().sum().maxCoeff() * up;
  layer.column = size.colwise().sum().maxCoeff() * up;
  // The Frobenius norm is a limit, too, and the better one for a single row or column.
  layer.spectral = std::min(layer.spectral, size.norm() * up);
  return layer;
}

/// The sums over columns of a layer's equivalent matrix with other entries in its kernel: [inputs].
VectorD column_sums(const Layer& layer, Index inputs, Index outputs, const Matrix& kernel) {
  const Weights entries{kernel, {}};
  MatrixD sums = MatrixD::Zero(1, inputs);
  layer.pull(MatrixD::Ones(1, outputs), &entries, std::array{&sums}, nullptr);
  return sums.row(0).transpose();
}

LayerNorms convolution_norms(const ConvolutionLayer& layer, Index inputs, Index outputs,
                             const Matrix& weight) {
  const MatrixD size = weight.cast<double>().cwiseAbs();
  const double up = 1 + gamma64(outputs + weight.cols() + 32);
  // Sums over rows of the equivalent matrix: what a box of such radii reaches from an image of ones.
  const auto row_sums = [&](const MatrixD& entries) {
    const Weights shape{weight, {}};
    MatrixD sums;
    layer.reach(MatrixD::Ones(1, inputs), shape, Radius{0, entries, 0, {}}, sums);
    return sums;
  };
  LayerNorms norms;
  norms.inputs = inputs;
  norms.outputs = outputs;
  norms.row = row_sums(size).maxCoeff() * up;
  norms.column = column_sums(layer, inputs, outputs, weight.cwiseAbs()).maxCoeff() * up;
  const MatrixD squares = row_sums(size.cwiseAbs2());
  norms.two_one = squares.cwiseSqrt().sum() * up;
  const double readers =
      column_sums(layer, inputs, outputs, Matrix::Ones(weight.rows(), weight.cols())).maxCoeff();
  norms.readers = static_cast<Index>(std::llround(readers));
  const Index channels = weight.rows() / layer.groups();
  double kernel = 0;
  for (Index group = 0; group < layer.groups(); ++group)
    kernel = std::max(kernel, spectral_limit(weight.middleRows(group * channels, channels)));
  const double windows = readers / static_cast<double>(channels);
  norms.spectral = std::min({std::sqrt(norms.row * norms.column), std::sqrt(squares.sum() * up),
                             kernel * std::sqrt(windows)}) *
                   (1 + 0x1p-48);
  return norms;
}

/// Whether no value of the image is in two windows of a pool.
bool apart(const Layer& layer) {
  if (layer.kind() == "global-average-pool") return true;
  const auto options = layer.options();
  for (std::size_t side = 0; side < 2; ++side) {
    const double dilation = options.contains("dilation") ? options.at("dilation")[side] : 1;
    if (options.at("stride")[side] < (options.at("kernel")[side] - 1) * dilation + 1) return false;
  }
  return true;
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
    const auto& node = network.nodes()[static_cast<std::size_t>(network.node_of(m))];
    const Matrix& weight = network.weights(m).weight;
    if (const auto* layer = dynamic_cast<const ConvolutionLayer*>(node.layer.get()); layer != nullptr) {
      const Sliding& sliding = layer->sliding();
      const Index inputs = sliding.channels() * sliding.height() * sliding.width();
      norms.push_back(convolution_norms(*layer, inputs, node.shape.size(), weight));
    } else {
      norms.push_back(dense_norms(weight));
    }
    norms.back().name = network.layer_name(m);
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
  std::string biased;
  for (std::size_t k = 0; k < nodes.size(); ++k) {
    const auto& node = nodes[k];
    const auto kind = node.layer->kind();
    if (node.inputs != std::vector<int>{static_cast<int>(k) - 1}) return "its layers do not form a chain";
    const std::string name = "layer '" + node.name + "' (" + std::string(kind) + ")";
    if (kind == "dense" || kind == "conv2d") {
      const auto& bias = network.weights(node.weights).bias;
      if (biased.empty() && bias.size() > 0 && !bias.isZero(0))
        biased = name + " has biases, which the theorem does not have";
    } else if (kind == "max-pool" || kind == "average-pool" || kind == "global-average-pool") {
      if (!apart(*node.layer)) return name + " has windows that overlap, which may stretch distances";
    } else if (kind != "relu" && kind != "tanh" && !node.layer->reshapes()) {
      return name + " is not covered: only dense, conv2d, relu, tanh and pools are";
    }
  }
  if (nodes.back().layer->kind() != "dense") return "it does not end in a dense layer";
  return biased;
}

}  // namespace temblor
