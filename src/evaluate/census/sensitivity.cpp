#include "sensitivity.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

namespace temblor::census {
namespace {

constexpr double unit_roundoff = 0x1p-24;
constexpr double underflow = 0x1p-150;
constexpr double second_order = 1.05;  // what the first-order terms leave out
constexpr double largest_sum = 1e37;

}  // namespace

VectorD paths(const Matrix& weight, const Vector& bias, const float* input) {
  const Index units = weight.rows();
  VectorD total(units);
  for (Index i = 0; i < units; ++i) {
    const float* row = weight.data() + i * weight.cols();
    double sum = bias.size() != 0 ? static_cast<double>(bias[i]) : 0.0;
    double all = std::fabs(sum);
    for (Index j = 0; j < weight.cols(); ++j) {
      sum += static_cast<double>(row[j]) * static_cast<double>(input[j]);
      all += std::fabs(sum);
    }
    total[i] = all;
  }
  return total;
}

Sensitivity::Sensitivity(const Network& network, const DenseEnd& end, const ImageBlock& block)
    : end_(&end.network), block_(&block), source_(end.source) {
  const Matrix* input = &block.golden.of(end.source, block.data.images);
  for (std::size_t i = 0; i < end.node.size(); ++i) {
    const Network::Node& node = network.nodes()[static_cast<std::size_t>(end.node[i])];
    const Matrix& output = block.golden.outputs[static_cast<std::size_t>(end.node[i])];
    if (node.weights >= 0) {
      const Weights& weights = network.weights(node.weights);
      inputs_.push_back(input);
      before_.push_back(&output);
      weights_.push_back(&weights.weight);
      biases_.push_back(&weights.bias);
      wide_.push_back(weights.weight.cast<double>());
    }
    input = &output;
  }
  for (std::size_t k = 0; k + 1 < weights_.size(); ++k) {
    Hidden hidden;
    hidden.before = before_[k];
    hidden.weight = weights_[k];
    hidden.size = wide_[k + 1].cwiseAbs();
    hidden.lead.resize(static_cast<std::size_t>(block.size()));
    hidden_.push_back(std::move(hidden));
  }
  tbb::parallel_for(Index{0}, block.size(), [&](Index n) {
    MatrixD lead = wide_.back();
    const MatrixD winner = lead.row(block.prediction[static_cast<std::size_t>(n)]);
    lead = (-lead).rowwise() + Eigen::RowVectorXd(winner.row(0));
    for (std::size_t k = hidden_.size(); k-- > 0;) {
      hidden_[k].lead[static_cast<std::size_t>(n)] = lead.cast<float>();
      if (k == 0) break;
      for (Index i = 0; i < lead.cols(); ++i) {
        if (!((*before_[k])(n, i) > 0.0F)) lead.col(i).setZero();
      }
      lead = MatrixD(lead * wide_[k]);
    }
  });
  add_rounding();
}

void Sensitivity::add_rounding() {
  const Index images = block_->size();
  fixed_.assign(static_cast<std::size_t>(images), 0.0);
  MatrixD above = MatrixD::Identity(classes(), classes());
  for (std::size_t k = weights_.size(); k-- > 0;) {
    const auto terms = static_cast<double>(weights_[k]->cols() + 1);
    std::vector<double> most(static_cast<std::size_t>(images));
    tbb::parallel_for(Index{0}, images, [&](Index n) {
      const VectorD path = paths(*weights_[k], *biases_[k], inputs_[k]->data() + n * inputs_[k]->cols());
      most[static_cast<std::size_t>(n)] = path.maxCoeff();
      fixed_[static_cast<std::size_t>(n)] +=
          second_order *
          (2 * unit_roundoff * (above * path) + 2 * underflow * terms * VectorD(above.rowwise().sum()))
              .maxCoeff();
    });
    for (const double sum : most) usable_ = usable_ && sum < largest_sum;
    growing_ += second_order * unit_roundoff * terms;
    const MatrixD size = wide_[k].cwiseAbs();
    growth_ *= std::max(1.0, size.rowwise().sum().maxCoeff());
    above = MatrixD(above * size);
  }
  reach_ = above.colwise().maxCoeff().transpose();
}

void Sensitivity::linear(Index image, Index first, Index count, MatrixD& out) const {
  const auto n = static_cast<std::size_t>(image);
  if (hidden_.empty()) {
    const MatrixD columns = wide_[0].middleCols(first, count);
    const Eigen::RowVectorXd winner = columns.row(block_->prediction[n]);
    out = (-columns).rowwise() + winner;
    return;
  }
  MatrixD lead = hidden_[0].lead[n].cast<double>();
  for (Index i = 0; i < lead.cols(); ++i) {
    if (!((*before_[0])(image, i) > 0.0F)) lead.col(i).setZero();
  }
  out.noalias() = lead * wide_[0].middleCols(first, count);
}

double Sensitivity::drop(Index image, Index first, const VectorD& change) const {
  VectorD moved = wide_[0].middleCols(first, change.size()) * change;
  for (std::size_t k = 0; k + 1 < weights_.size(); ++k) {
    const float* before = before_[k]->data() + image * before_[k]->cols();
    for (Index i = 0; i < moved.size(); ++i) {
      const auto here = static_cast<double>(before[i]);
      moved[i] = here > 0 ? std::max(moved[i], -here) : std::max(0.0, here + moved[i]);
    }
    moved = VectorD(wide_[k + 1] * moved);
  }
  const float* logits = before_.back()->data() + image * classes();
  const auto label = static_cast<Index>(block_->data.labels[static_cast<std::size_t>(image)]);
  const double margin = block_->margin[static_cast<std::size_t>(image)];
  double most = -std::numeric_limits<double>::infinity();
  for (Index j = 0; j < classes(); ++j) {
    if (j == label) continue;
    const double room = static_cast<double>(logits[label]) - static_cast<double>(logits[j]) - margin;
    most = std::max(most, (moved[j] - moved[label]) - room);
  }
  return most;
}

}  // namespace temblor::census
