#include "cross_entropy.hpp"

#include "../loss_table.hpp"

#include <cmath>

#include <temblor/base/error.hpp>

namespace temblor {

LossSum CrossEntropy::add_gradients(const Network& network, const WeightView& weights, const Block& block,
                                    double share, Activations& scratch,
                                    std::span<Weights* const> gradients) const {
  forward(network, weights, block.images, scratch);
  Matrix gradient;
  const LossSum sum = cross_entropy(scratch.outputs.back(), block.labels, share, gradient);
  backward(network, weights, block.images, scratch, gradient, gradients);
  return sum;
}

LossSum cross_entropy(const Matrix& logits, std::span<const std::int32_t> labels, double share,
                      Matrix& gradient) {
  ensure(static_cast<std::size_t>(logits.rows()) == labels.size(), "one label an image");
  gradient.resize(logits.rows(), logits.cols());
  LossSum sum;
  Eigen::RowVectorXd weight(logits.cols());
  for (Index image = 0; image < logits.rows(); ++image) {
    const Index label = labels[static_cast<std::size_t>(image)];
    Index best = 0;
    const double largest = static_cast<double>(logits.row(image).maxCoeff(&best));
    weight = (logits.row(image).cast<double>().array() - largest).exp();
    const double total = weight.sum();
    sum.loss += std::log(total) - (static_cast<double>(logits(image, label)) - largest);
    sum.correct += best == label ? 1 : 0;
    gradient.row(image) = (weight * (share / total)).cast<float>();
    gradient(image, label) -= static_cast<float>(share);
  }
  return sum;
}

std::unique_ptr<Loss> make_cross_entropy(const Params&) {
  return std::make_unique<CrossEntropy>();
}

}  // namespace temblor
