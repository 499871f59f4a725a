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

}  // namespace temblor
