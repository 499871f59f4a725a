#include "weight_box.hpp"

#include <array>

#include <temblor/network/conv.hpp>

namespace temblor {
namespace {

/// Runs visit(channels, of_group) for each image and group: the values of the group's output channels,
/// [channels x positions], and the group's own row.
template <class Values, class Sums, class Visit>
void each_group(Values& values, Index outputs, Sums& sums, Index groups, const Visit& visit) {
  const Index positions = values.cols() / outputs;
  const Index channels = outputs / groups;
  for (Index n = 0; n < values.rows(); ++n) {
    for (Index g = 0; g < groups; ++g) {
      visit(Eigen::Map<Matrix>(values.data() + n * values.cols() + g * channels * positions, channels,
                               positions),
            Eigen::Map<Eigen::RowVectorXf>(sums.data() + n * sums.cols() + g * positions, positions));
    }
  }
}

Matrix half_sum(const Matrix& a, const Matrix& b) {
  return 0.5F * (a + b);
}

}  // namespace

WeightBox::WeightBox(const Layer& layer, const Weights& weights, double eps)
    : layer_(&layer), weights_(&weights), eps_(static_cast<float>(eps)), outputs_(weights.weight.rows()) {
  const auto* convolution = dynamic_cast<const ConvolutionLayer*>(&layer);
  ones_.weight = Matrix::Ones(convolution != nullptr ? convolution->groups() : 1, weights.weight.cols());
  raised_.weight = (weights.weight.array() + eps_).abs();
  lowered_.weight = (weights.weight.array() - eps_).abs();
}

Matrix WeightBox::sums(const Matrix& inputs) const {
  Matrix out;
  layer_->forward(std::array{&inputs}, &ones_, out);
  return eps_ * out;
}

Band WeightBox::enclose(const Band& inputs) const {
  const Matrix middle = half_sum(inputs.lower, inputs.upper);
  const Matrix half = half_sum(inputs.upper, -inputs.lower);
  Matrix product;
  layer_->forward(std::array{&middle}, weights_, product);
  Band out = enclose(middle, product);
  layer_->forward(std::array{&half}, &raised_, product);
  out.upper += product;
  layer_->forward(std::array{&half}, &lowered_, product);
  out.lower -= product;
  return out;
}

Band WeightBox::enclose(const Matrix& inputs, const Matrix& outputs) const {
  Matrix reach = sums(inputs.cwiseAbs());
  Band out{outputs, outputs};
  const Index groups = ones_.weight.rows();
  each_group(out.upper, outputs_, reach, groups, [](auto&& to, const auto& by) { to.rowwise() += by; });
  each_group(out.lower, outputs_, reach, groups, [](auto&& to, const auto& by) { to.rowwise() -= by; });
  return out;
}

void WeightBox::backward(const Band& inputs, const Band& by_outputs, Band& by_inputs,
                         Weights& by_weights) const {
  const Matrix middle = half_sum(inputs.lower, inputs.upper);
  const Matrix half = half_sum(inputs.upper, -inputs.lower);
  Matrix by_middle = Matrix::Zero(middle.rows(), middle.cols());
  Matrix by_half = by_middle;

  const Matrix both = by_outputs.lower + by_outputs.upper;
  layer_->backward(std::array{&middle}, both, weights_, both, std::array{&by_middle}, &by_weights);

  Matrix apart = by_outputs.upper - by_outputs.lower;
  const Index groups = ones_.weight.rows();
  Matrix by_sums(apart.rows(), apart.cols() / outputs_ * groups);
  each_group(apart, outputs_, by_sums, groups,
             [&](const auto& from, auto&& to) { to = eps_ * from.colwise().sum(); });
  layer_->backward(std::array{&middle}, by_sums, &ones_, by_sums, std::array{&by_middle}, nullptr);

  Weights by_size{Matrix::Zero(outputs_, ones_.weight.cols()), {}};
  layer_->backward(std::array{&half}, both, &raised_, by_outputs.upper, std::array{&by_half}, &by_size);
  by_weights.weight.array() += by_size.weight.array() * (weights_->weight.array() + eps_).sign();
  by_size.weight.setZero();
  const Matrix below = -by_outputs.lower;
  layer_->backward(std::array{&half}, both, &lowered_, below, std::array{&by_half}, &by_size);
  by_weights.weight.array() += by_size.weight.array() * (weights_->weight.array() - eps_).sign();

  by_inputs.lower += half_sum(by_middle, -by_half);
  by_inputs.upper += half_sum(by_middle, by_half);
}

}  // namespace temblor
