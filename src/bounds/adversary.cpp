#include <cmath>
#include <optional>

#include <temblor/bounds/adversary.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {

void Adversary::take_units(const std::vector<Index>& units, const Interval* inputs, Forms& next) const {
  MatrixD a = MatrixD::Zero(next.rows(), outputs_);
  for (Index i = 0; i < next.rows(); ++i) a(i, units[static_cast<std::size_t>(i)]) = 1;
  take(a, inputs, next);
}

BoxAdversary::BoxAdversary(const MatrixD& weight, const Radius* radius) : Adversary(weight.rows()) {
  const double gamma = gamma64(weight.rows() + weight.cols() + 8);
  const double grow = 1 + 4 * gamma;
  if (radius != nullptr && radius->weight.size() != 0) {
    radius_ = (radius->weight + 2 * gamma * weight.cwiseAbs()) * grow;
  } else {
    uniform_ = ((radius != nullptr ? radius->uniform : 0) + 2 * gamma * weight.cwiseAbs().maxCoeff()) * grow;
  }
  if (radius == nullptr) return;
  if (radius->bias.size() != 0) {
    slack_ = radius->bias;
  } else if (radius->bias_uniform != 0) {
    slack_ = VectorD::Constant(weight.rows(), radius->bias_uniform);
  }
}

void BoxAdversary::take(const MatrixD& a, const Interval*, Forms& next) const {
  if (radius_.size() != 0) {
    const MatrixD size = a.cwiseAbs();
    next.v.noalias() -= size * radius_;
  } else {
    next.v.colwise() -= uniform_ * a.cwiseAbs().rowwise().sum();
  }
  if (slack_.size() == 0) return;
  const VectorD most = a.cwiseAbs() * slack_;
  next.constant -= most;
  next.size += most;
}

void BoxAdversary::take_units(const std::vector<Index>& units, const Interval*, Forms& next) const {
  for (Index i = 0; i < next.rows(); ++i) {
    const Index k = units[static_cast<std::size_t>(i)];
    if (radius_.size() != 0) {
      next.v.row(i) -= radius_.row(k);
    } else {
      next.v.row(i).array() -= uniform_;
    }
    if (slack_.size() == 0) continue;
    next.constant(i) -= slack_(k);
    next.size(i) += slack_(k);
  }
}

void BoxAdversary::worst(const MatrixD& a, const MatrixD& z, const Interval*, const std::vector<Index>&,
                         MatrixD& p) const {
  MatrixD reach;
  if (radius_.size() != 0) {
    reach.noalias() = z * radius_.transpose();
  } else {
    reach = (uniform_ * z.rowwise().sum()).replicate(1, p.cols());
  }
  if (slack_.size() != 0) reach.rowwise() += slack_.transpose();
  p.array() -= a.array().sign() * reach.array();
}

VectorD NormAdversary::weight(const MatrixD& a) const {
  const double grow = 1 + gamma64(a.cols() + 16);
  VectorD weight = VectorD::Zero(a.rows());
  if (l2_ > 0) weight += l2_ * a.rowwise().norm();
  if (row_ > 0) weight += row_ * a.cwiseAbs().rowwise().sum();
  return weight * grow;
}

namespace {

/// The chord of one case: ||z||_2 <= slope . z + constant.
struct Chord {
  Eigen::RowVectorXd slope;
  double constant = 0;
  double size = 0;  ///< of the terms of `constant`
};

Chord chord(const Interval& z, Index n, bool bias) {
  const auto l = z.lower.row(n).array();
  const auto u = z.upper.row(n).array();
  const double one = bias ? 1 : 0;
  const double s = std::sqrt(0.25 * (l + u).square().sum() + one);
  Chord chord;
  // All of z is 0.
  if (s == 0) return {Eigen::RowVectorXd::Zero(z.lower.cols()), 0, 0};
  chord.slope = ((l + u) * (0.5 / s)).matrix();
  const double product = (l * u).sum() * (0.5 / s);
  const double square = 0.5 * s + 0.5 * one / s;
  chord.constant = square - product;
  chord.size = square + std::abs(product);
  return chord;
}

}  // namespace

void NormAdversary::take(const MatrixD& a, const Interval* inputs, Forms& next) const {
  const VectorD most = weight(a);
  const double grow = 1 + gamma64(inputs->lower.cols() + 32);
  std::vector<std::optional<Chord>> chords(static_cast<std::size_t>(inputs->lower.rows()));
  for (Index row = 0; row < a.rows(); ++row) {
    const Index n = next.at[static_cast<std::size_t>(row)];
    auto& own = chords[static_cast<std::size_t>(n)];
    if (!own) own = chord(*inputs, n, biases_);
    next.v.row(row) -= (most(row) * grow) * own->slope;
    next.constant(row) -= most(row) * own->constant;
    next.size(row) += most(row) * own->size;
  }
}

void NormAdversary::worst(const MatrixD& a, const MatrixD& z, const Interval* inputs,
                          const std::vector<Index>& at, MatrixD& p) const {
  for (Index row = 0; row < a.rows(); ++row) {
    const auto own = chord(*inputs, at[static_cast<std::size_t>(row)], biases_);
    const double length = own.slope.dot(z.row(row)) + own.constant;
    const double norm = a.row(row).norm();
    if (norm > 0) p.row(row) -= (l2_ * length / norm) * a.row(row);
    p.row(row).array() -= row_ * length * a.row(row).array().sign();
  }
}

void budget_losses(const Moves& moves, int layer, const MatrixD& a, const MatrixD& largest, bool signs,
                   const std::vector<Index>& at, std::vector<Largest>& losses) {
  const Allowance allowance = moves.allowance(layer);
  if (!allowance) return;
  std::vector<std::vector<Index>> orders(static_cast<std::size_t>(largest.rows()));
  for (Index row = 0; row < a.rows(); ++row) {
    const auto i = static_cast<std::size_t>(row);
    const Index n = at[i];
    auto& order = orders[static_cast<std::size_t>(n)];
    if (order.empty()) order = descending(largest.row(n).transpose());
    losses[i].add_products(a.row(row).transpose(), allowance, largest.row(n).transpose(), order, signs);
  }
}

}  // namespace temblor
