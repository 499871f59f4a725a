#include <algorithm>
#include <cmath>

#include <temblor/bounds/shared_kernel.hpp>

namespace temblor {
namespace {

constexpr double ulp = 0x1p-52;
/// What squares below the normal range may lose of a norm.
constexpr double underflow = 1e-150;

}  // namespace

SharedKernel::SharedKernel(const Network::Node& node, const Shape& input, const Weights& weights,
                           const Radius* radius, const Moves& moves)
    : weight_(weights.weight.cast<double>()),
      bias_(weights.bias.cast<double>()),
      l2_(moves.l2_of(node.weights)),
      row_(moves.row_of(node.weights)),
      ball_biases_(moves.biases && bias_.size() > 0),
      taps_(node, input, weight_.cols()) {
  if (bias_.size() == 0) bias_ = VectorD::Zero(weight_.rows());
  if (radius == nullptr) return;
  if (radius->weight.size() > 0) {
    radius_ = radius->weight;
  } else if (radius->uniform != 0) {
    radius_ = MatrixD::Constant(weight_.rows(), weight_.cols(), radius->uniform);
  }
  if (radius->bias.size() > 0) {
    slack_ = radius->bias;
  } else if (radius->bias_uniform != 0) {
    slack_ = VectorD::Constant(weight_.rows(), radius->bias_uniform);
  }
}

Index SharedKernel::terms() const {
  return weight_.size() + taps_.positions + taps_.plane;
}

void SharedKernel::look(const Interval& inputs, Index n, Index group, Seen& seen) const {
  seen.middle.resize(taps_.positions, taps_.depth);
  seen.half.resize(taps_.positions, taps_.depth);
  const double* lower = inputs.lower.data() + n * inputs.lower.cols() + group * taps_.plane;
  const double* upper = inputs.upper.data() + n * inputs.upper.cols() + group * taps_.plane;
  for (std::size_t i = 0; i < taps_.input.size(); ++i) {
    double& middle = seen.middle.data()[i];
    double& half = seen.half.data()[i];
    middle = half = 0;
    const std::int32_t from = taps_.input[i];
    if (from < 0) continue;
    middle = 0.5 * (lower[from] + upper[from]);
    half = std::max(upper[from] - middle, middle - lower[from]);
  }
  seen.at = n;
  seen.wide = !seen.half.isZero(0);
}

void SharedKernel::open(const MatrixD& a, Index row, const Interval& inputs, Index n, bool wanted,
                        std::vector<Seen>& seen, Row& to) const {
  const Index channels = weight_.rows() / taps_.groups;
  const auto groups = static_cast<std::size_t>(taps_.groups);
  seen.resize(groups);
  to.positions.resize(groups);
  to.own.resize(groups);
  const Eigen::Map<const MatrixD> all(a.data() + row * a.cols(), weight_.rows(), taps_.positions);
  to.sums = all.rowwise().sum();
  to.sizes = all.cwiseAbs().rowwise().sum();
  if (wanted) {
    to.g.lower.setZero(weight_.rows(), weight_.cols());
    to.g.upper.setZero(weight_.rows(), weight_.cols());
  }
  MatrixD middle, spread;
  for (std::size_t i = 0; i < groups; ++i) {
    const auto group = static_cast<Index>(i);
    const auto part = all.middleRows(group * channels, channels);
    auto& positions = to.positions[i];
    positions.clear();
    for (Index p = 0; p < taps_.positions; ++p) {
      if (!part.col(p).isZero(0)) positions.push_back(p);
    }
    if (positions.empty()) continue;
    const bool whole = static_cast<Index>(positions.size()) == taps_.positions;
    MatrixD& own = to.own[i];
    if (whole) {
      own = part;
    } else {
      own = part(Eigen::all, positions);
    }
    if (!wanted) continue;
    Seen& view = seen[i];
    if (view.at != n) look(inputs, n, group, view);
    auto lower = to.g.lower.middleRows(group * channels, channels);
    auto upper = to.g.upper.middleRows(group * channels, channels);
    if (whole) {
      middle.noalias() = own * view.middle;
      if (view.wide) spread.noalias() = own.cwiseAbs() * view.half;
    } else {
      middle.noalias() = own * view.middle(positions, Eigen::all);
      if (view.wide) spread.noalias() = own.cwiseAbs() * view.half(positions, Eigen::all);
    }
    lower = upper = middle;
    if (!view.wide) continue;
    lower -= spread;
    upper += spread;
  }
}

void SharedKernel::take_box(const Row& row, MatrixD& kernel, double& constant, double& size) const {
  if (radius_.size() == 0) return;
  Eigen::Array<double, 1, Eigen::Dynamic> slope, height;
  for (Index c = 0; c < kernel.rows(); ++c) {
    const auto low = row.g.lower.row(c).array();
    const auto high = row.g.upper.row(c).array();
    const auto r = radius_.row(c).array();
    // The chord's, and 1 or -1 where there is no change of sign. Any slope of [-1, 1] has the height below;
    // rounding it up keeps it one.
    slope = ((high + low) / (high - low + 1e-300)).max(-1.0).min(1.0);
    height = (-low * (1 + slope)).max(high * (1 - slope)).max(0.0) * (1 + 8 * ulp);
    kernel.row(c).array() -= r * slope;
    const double loss = (r * height).sum();
    constant -= loss;
    size += loss;
  }
}

void SharedKernel::take_balls(const Row& row, MatrixD& kernel, double& constant, double& size) const {
  const auto take = [&](double radius, Index first, Index count) {
    const auto low = row.g.lower.middleRows(first, count).array();
    const auto high = row.g.upper.middleRows(first, count).array();
    const double biases = ball_biases_ ? row.sums.segment(first, count).squaredNorm() : 0;
    // Every s has its chord; the products that make this one may lose what is below the normal range.
    const double s = std::sqrt(0.5 * (low.square() + high.square()).sum() + biases) + underflow;
    kernel.middleRows(first, count).array() -= (0.5 * radius / s) * (low + high);
    const auto products = low * high;
    const double square = 0.5 * s + 0.5 * biases / s + underflow;
    constant -= radius * (square - products.sum() * (0.5 / s));
    size += radius * (square + products.abs().sum() * (0.5 / s));
  };
  if (l2_ > 0) take(l2_, 0, weight_.rows());
  for (Index c = 0; row_ > 0 && c < weight_.rows(); ++c) {
    // A channel that nothing reads.
    if (row.sizes(c) != 0) take(row_, c, 1);
  }
}

VectorD SharedKernel::norms(const Row& row) const {
  VectorD squares = row.g.lower.cwiseAbs().cwiseMax(row.g.upper.cwiseAbs()).rowwise().squaredNorm();
  if (ball_biases_) squares += row.sums.cwiseAbs2();
  return squares.cwiseSqrt().array() + underflow;
}

void SharedKernel::take(const MatrixD& a, const Interval& inputs, const Allowance& allowance, Forms& next,
                        std::vector<Largest>& losses) const {
  const Index channels = weight_.rows() / taps_.groups;
  const bool balls = l2_ > 0 || row_ > 0;
  const bool own_kernel = radius_.size() > 0 || balls;
  std::vector<Seen> seen;
  Row open_row;
  MatrixD kernel, columns;
  for (Index row = 0; row < a.rows(); ++row) {
    const Index n = next.at[static_cast<std::size_t>(row)];
    open(a, row, inputs, n, own_kernel || allowance, seen, open_row);
    double constant = open_row.sums.dot(bias_);
    double size = open_row.sizes.dot(bias_.cwiseAbs());
    if (slack_.size() > 0) {
      constant -= open_row.sums.cwiseAbs().dot(slack_);
      size += open_row.sizes.dot(slack_);
    }
    if (own_kernel) {
      kernel = weight_;
      take_box(open_row, kernel, constant, size);
      if (balls) take_balls(open_row, kernel, constant, size);
    }
    if (allowance) losses[static_cast<std::size_t>(row)].add_shared(open_row.g, open_row.sums, allowance);
    next.constant(row) += constant;
    next.size(row) += size;
    const MatrixD& use = own_kernel ? kernel : weight_;
    for (std::size_t group = 0; group < open_row.own.size(); ++group) {
      const auto& positions = open_row.positions[group];
      if (positions.empty()) continue;
      const auto g = static_cast<Index>(group);
      columns.noalias() = open_row.own[group].transpose() * use.middleRows(g * channels, channels);
      double* to = next.v.data() + row * next.v.cols() + g * taps_.plane;
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::int32_t* taps = taps_.input.data() + positions[i] * taps_.depth;
        const double* from = columns.data() + static_cast<Index>(i) * taps_.depth;
        for (Index k = 0; k < taps_.depth; ++k)
          if (taps[k] >= 0) to[taps[k]] += from[k];
      }
    }
  }
}

VectorD SharedKernel::loss_at(const MatrixD& a, const Interval& inputs, const std::vector<Index>& at,
                              const Allowance& allowance, std::vector<Largest>& losses) const {
  VectorD loss = VectorD::Zero(a.rows());
  const bool balls = l2_ > 0 || row_ > 0;
  if (radius_.size() == 0 && slack_.size() == 0 && !balls && !allowance) return loss;
  std::vector<Seen> seen;
  Row open_row;
  for (Index row = 0; row < a.rows(); ++row) {
    open(a, row, inputs, at[static_cast<std::size_t>(row)], true, seen, open_row);
    if (slack_.size() > 0) loss(row) += open_row.sums.cwiseAbs().dot(slack_);
    if (radius_.size() > 0) {
      const auto& [lower, upper] = open_row.g;
      loss(row) += lower.cwiseAbs().cwiseMax(upper.cwiseAbs()).cwiseProduct(radius_).sum();
    }
    if (balls) {
      const VectorD size = norms(open_row);
      loss(row) += l2_ * size.norm() + row_ * size.sum();
    }
    if (allowance) losses[static_cast<std::size_t>(row)].add_shared(open_row.g, open_row.sums, allowance);
  }
  return loss;
}

}  // namespace temblor
