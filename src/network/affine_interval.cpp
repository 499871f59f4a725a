#include <algorithm>
#include <cmath>
#include <limits>

#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

// What products below the normal range may lose, far more than 2^-1074 for each of 2^43 terms.
constexpr double kUnderflow = 1e-300;

VectorD bias_radius(const Radius* radius, Index outputs) {
  if (radius == nullptr) return VectorD::Zero(outputs);
  return radius->bias.size() > 0 ? radius->bias : VectorD::Constant(outputs, radius->bias_uniform);
}

bool moves_weights(const Radius* radius) {
  return radius != nullptr && (radius->weight.size() > 0 || radius->uniform != 0);
}

// norm_2 of abs(A_i) + R_i, one a row.
VectorD row_size(const MatrixD& weight, const Radius* radius) {
  if (!moves_weights(radius)) return weight.rowwise().norm();
  if (radius->weight.size() > 0) return (weight.cwiseAbs() + radius->weight).rowwise().norm();
  return (weight.array().abs() + radius->uniform).matrix().rowwise().norm();
}

// out += R z, z of any sign.
void add_radius_product(const Radius& radius, const MatrixD& z, double sign, MatrixD& out) {
  if (radius.weight.size() > 0) {
    out.noalias() += sign * z * radius.weight.transpose();
  } else if (radius.uniform != 0) {
    out.colwise() += (sign * radius.uniform) * z.rowwise().sum();
  }
}

// Inputs of both signs whose parameters move: term by term, no matrix product exists.
void mixed_signs(const MatrixD& weight, const Radius& radius, const Interval& in, Interval& out) {
  const Index images = in.lower.rows();
  out.lower.resize(images, weight.rows());
  out.upper.resize(images, weight.rows());
  Eigen::ArrayXd spread_lower, spread_upper;
  for (Index n = 0; n < images; ++n) {
    const Eigen::ArrayXd low = in.lower.row(n).transpose().array();
    const Eigen::ArrayXd high = in.upper.row(n).transpose().array();
    if (radius.weight.size() == 0) {
      spread_lower = radius.uniform * low.abs();
      spread_upper = radius.uniform * high.abs();
    }
    for (Index i = 0; i < weight.rows(); ++i) {
      const auto row = weight.row(i).transpose().array();
      if (radius.weight.size() > 0) {
        const auto r = radius.weight.row(i).transpose().array();
        spread_lower = r * low.abs();
        spread_upper = r * high.abs();
      }
      out.upper(n, i) = (row * low + spread_lower).max(row * high + spread_upper).sum();
      out.lower(n, i) = (row * low - spread_lower).min(row * high - spread_upper).sum();
    }
  }
}

double gamma(Index n, double unit, Index most) {
  if (n >= most) return std::numeric_limits<double>::infinity();
  const double nu = static_cast<double>(n) * unit;
  return 1.01 * nu / (1.0 - nu);
}

}  // namespace

double gamma64(Index n) {
  return gamma(n, 0x1p-53, Index{1} << 43);
}
double gamma32(Index n) {
  return gamma(n, 0x1p-24, Index{1} << 20);
}

void affine_interval(const MatrixD& weight, const VectorD& bias, const Radius* radius, const Interval& in,
                     Interval& out) {
  const Index outputs = weight.rows();
  const bool moving = moves_weights(radius);
  const bool any = in.lower.size() > 0;
  const double width = any ? (in.upper - in.lower).maxCoeff() : 0.0;
  VectorD image_size;
  if (width == 0.0) {
    image_size = in.lower.rowwise().norm();
  } else {
    image_size = in.lower.cwiseAbs().cwiseMax(in.upper.cwiseAbs()).rowwise().norm();
  }

  const VectorD row = row_size(weight, radius);
  const VectorD moved_bias = bias_radius(radius, outputs);
  VectorD slack_bias = moved_bias;
  if (bias.size() > 0) slack_bias += bias.cwiseAbs();
  const double g = gamma64(2 * weight.cols() + 16);

  if (width == 0.0) {
    out.upper.noalias() = in.lower * weight.transpose();
    out.lower = out.upper;
    if (moving) {
      const MatrixD size = in.lower.cwiseAbs();
      add_radius_product(*radius, size, 1.0, out.upper);
      add_radius_product(*radius, size, -1.0, out.lower);
    }
  } else if (!moving || in.lower.minCoeff() >= 0.0) {
    const MatrixD middle = 0.5 * (in.lower + in.upper);
    // fl(u - m) may be short by one rounding; 2^-51 covers it and its own product.
    const MatrixD half = (in.upper - middle).cwiseMax(middle - in.lower) * (1.0 + 0x1p-51);
    out.upper.noalias() = middle * weight.transpose();
    out.lower = out.upper;
    if (!moving) {
      MatrixD spread(in.lower.rows(), outputs);
      if (width <= 1e-10 * image_size.maxCoeff()) {
        spread.noalias() = half.rowwise().norm() * weight.rowwise().norm().transpose();
      } else {
        spread.noalias() = half * weight.cwiseAbs().transpose();
      }
      out.upper += spread;
      out.lower -= spread;
    } else {
      add_radius_product(*radius, middle, 1.0, out.upper);
      add_radius_product(*radius, middle, -1.0, out.lower);
      MatrixD reach;
      if (radius->weight.size() > 0) {
        reach = (weight + radius->weight).cwiseAbs();
        out.upper.noalias() += half * reach.transpose();
        reach = (weight - radius->weight).cwiseAbs();
        out.lower.noalias() -= half * reach.transpose();
      } else {
        reach = (weight.array() + radius->uniform).abs();
        out.upper.noalias() += half * reach.transpose();
        reach = (weight.array() - radius->uniform).abs();
        out.lower.noalias() -= half * reach.transpose();
      }
    }
  } else {
    mixed_signs(weight, *radius, in, out);
  }

  for (Index n = 0; n < out.upper.rows(); ++n) {
    const auto slack = g * (image_size(n) * row + slack_bias).array() + kUnderflow;
    if (bias.size() > 0) {
      out.upper.row(n).array() += (bias + moved_bias).array().transpose() + slack.transpose();
      out.lower.row(n).array() += (bias - moved_bias).array().transpose() - slack.transpose();
    } else {
      out.upper.row(n).array() += moved_bias.array().transpose() + slack.transpose();
      out.lower.row(n).array() -= moved_bias.array().transpose() + slack.transpose();
    }
  }
}

MatrixD radius_reach(const Radius& radius, Index outputs, const MatrixD& magnitude) {
  MatrixD reach = MatrixD::Zero(magnitude.rows(), outputs);
  add_radius_product(radius, magnitude, 1.0, reach);
  reach.rowwise() += bias_radius(&radius, outputs).transpose();
  // Only non-negative terms: the rounding error is relative.
  reach *= 1.0 + gamma64(magnitude.cols() + 4);
  return reach;
}

}  // namespace temblor
