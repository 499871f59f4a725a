#include <algorithm>
#include <cmath>

#include <temblor/bounds/shared_kernel.hpp>

namespace temblor {
namespace {

constexpr double ulp = 0x1p-52;

struct Geometry {
  Window window;
  Shape input;
  Index groups = 1;
};

// A scale layer is a convolution with one tap, every channel a group of its own.
Geometry geometry_of(const Layer& layer, const Shape& input) {
  Geometry geometry;
  if (layer.kind() == "scale") {
    const Index channels = input.dims.front();
    geometry.input = {{channels, 1, input.size() / channels}};
    geometry.groups = channels;
    return geometry;
  }
  const LayerOptions options = layer.options();
  const auto take = [&](const char* name, auto& to) {
    const auto& values = options.at(name);
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<Index>(values.at(i));
  };
  take("kernel", geometry.window.kernel);
  take("stride", geometry.window.stride);
  take("dilation", geometry.window.dilation);
  take("padding", geometry.window.padding);
  geometry.input = input;
  geometry.groups = static_cast<Index>(options.at("groups").front());
  return geometry;
}

}  // namespace

/// What a group's window sees of one case at every position.
struct SharedKernel::Seen {
  Index at = -1;
  MatrixD middle;  ///< [positions x depth]
  MatrixD half;    ///< half the width of the limits, rounded up
};

bool SharedKernel::covers(const Layer& layer) {
  return layer.kind() == "conv2d" || layer.kind() == "scale";
}

SharedKernel::SharedKernel(const Network::Node& node, const Shape& input, const Weights& weights,
                           const Radius* radius)
    : weight_(weights.weight.cast<double>()), bias_(weights.bias.cast<double>()) {
  if (bias_.size() == 0) bias_ = VectorD::Zero(weight_.rows());
  if (radius != nullptr) {
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
  const Geometry geometry = geometry_of(*node.layer, input);
  const Sliding sliding(geometry.window, geometry.input);
  groups_ = geometry.groups;
  positions_ = sliding.positions();
  const Index channels = sliding.channels() / groups_;
  plane_ = channels * sliding.height() * sliding.width();
  // Padding is 0 in an image whose values count from 1.
  std::vector<double> numbers(static_cast<std::size_t>(plane_));
  for (Index i = 0; i < plane_; ++i) numbers[static_cast<std::size_t>(i)] = static_cast<double>(i + 1);
  std::vector<double> seen(static_cast<std::size_t>(positions_ * weight_.cols()));
  sliding.unfold(numbers.data(), 0, channels, seen.data());
  for (const double number : seen) taps_.push_back(static_cast<std::int32_t>(number) - 1);
}

Index SharedKernel::terms() const {
  return weight_.size() + positions_ + plane_;
}

void SharedKernel::look(const Interval& inputs, Index n, Index group, Seen& seen) const {
  const Index depth = weight_.cols();
  seen.middle.resize(positions_, depth);
  seen.half.resize(positions_, depth);
  const double* lower = inputs.lower.data() + n * inputs.lower.cols() + group * plane_;
  const double* upper = inputs.upper.data() + n * inputs.upper.cols() + group * plane_;
  for (std::size_t i = 0; i < taps_.size(); ++i) {
    double& middle = seen.middle.data()[i];
    double& half = seen.half.data()[i];
    middle = half = 0;
    if (taps_[i] < 0) continue;
    middle = 0.5 * (lower[taps_[i]] + upper[taps_[i]]);
    half = std::max(upper[taps_[i]] - middle, middle - lower[taps_[i]]);
  }
  seen.at = n;
}

MatrixD SharedKernel::active(const MatrixD& a, Index row, Index group, std::vector<Index>& positions) const {
  const Index channels = weight_.rows() / groups_;
  const Eigen::Map<const MatrixD> all(a.data() + row * a.cols() + group * channels * positions_, channels,
                                      positions_);
  positions.clear();
  for (Index p = 0; p < positions_; ++p) {
    if (!all.col(p).isZero(0)) positions.push_back(p);
  }
  if (static_cast<Index>(positions.size()) == positions_) return all;
  return all(Eigen::all, positions);
}

void SharedKernel::take(const MatrixD& a, const Interval& inputs, Forms& next) const {
  const Index channels = weight_.rows() / groups_;
  const Index depth = weight_.cols();
  std::vector<Seen> seen(static_cast<std::size_t>(groups_));
  std::vector<Index> positions;
  MatrixD kernel, columns, middle, spread;
  Eigen::Array<double, 1, Eigen::Dynamic> low, high, slope, height;
  for (Index row = 0; row < a.rows(); ++row) {
    const Index n = next.at[static_cast<std::size_t>(row)];
    for (Index group = 0; group < groups_; ++group) {
      const MatrixD own = active(a, row, group, positions);
      if (positions.empty()) continue;
      const bool whole = static_cast<Index>(positions.size()) == positions_;
      const Index first = group * channels;
      kernel = weight_.middleRows(first, channels);
      const VectorD sums = own.rowwise().sum();
      const VectorD sizes = own.cwiseAbs().rowwise().sum();
      double constant = sums.dot(bias_.segment(first, channels));
      double size = sizes.dot(bias_.segment(first, channels).cwiseAbs());
      if (slack_.size() > 0) {
        constant -= sums.cwiseAbs().dot(slack_.segment(first, channels));
        size += sizes.dot(slack_.segment(first, channels));
      }
      if (radius_.size() > 0) {
        Seen& view = seen[static_cast<std::size_t>(group)];
        if (view.at != n) look(inputs, n, group, view);
        if (whole) {
          middle.noalias() = own * view.middle;
          spread.noalias() = own.cwiseAbs() * view.half;
        } else {
          middle.noalias() = own * view.middle(positions, Eigen::all);
          spread.noalias() = own.cwiseAbs() * view.half(positions, Eigen::all);
        }
        for (Index c = 0; c < channels; ++c) {
          const auto r = radius_.row(first + c).array();
          low = middle.row(c).array() - spread.row(c).array();
          high = middle.row(c).array() + spread.row(c).array();
          // The chord's, and 1 or -1 where there is no change of sign. Any slope of [-1, 1] has the height
          // below; rounding it up keeps it one.
          slope = ((high + low) / (high - low + 1e-300)).max(-1.0).min(1.0);
          height = (-low * (1 + slope)).max(high * (1 - slope)).max(0.0) * (1 + 8 * ulp);
          kernel.row(c).array() -= r * slope;
          const double loss = (r * height).sum();
          constant -= loss;
          size += loss;
        }
      }
      next.constant(row) += constant;
      next.size(row) += size;
      columns.noalias() = own.transpose() * kernel;
      double* to = next.v.data() + row * next.v.cols() + group * plane_;
      for (std::size_t i = 0; i < positions.size(); ++i) {
        const std::int32_t* taps = taps_.data() + positions[i] * depth;
        const double* from = columns.data() + static_cast<Index>(i) * depth;
        for (Index k = 0; k < depth; ++k)
          if (taps[k] >= 0) to[taps[k]] += from[k];
      }
    }
  }
}

VectorD SharedKernel::loss_at(const MatrixD& a, const Interval& inputs, const std::vector<Index>& at) const {
  VectorD loss = VectorD::Zero(a.rows());
  if (radius_.size() == 0 && slack_.size() == 0) return loss;
  const Index channels = weight_.rows() / groups_;
  const bool wide = (inputs.upper.array() > inputs.lower.array()).any();
  std::vector<Seen> seen(static_cast<std::size_t>(groups_));
  std::vector<Index> positions;
  for (Index row = 0; row < a.rows(); ++row) {
    const Index n = at[static_cast<std::size_t>(row)];
    for (Index group = 0; group < groups_; ++group) {
      const MatrixD own = active(a, row, group, positions);
      if (positions.empty()) continue;
      const Index first = group * channels;
      if (slack_.size() > 0) loss(row) += own.rowwise().sum().cwiseAbs().dot(slack_.segment(first, channels));
      if (radius_.size() == 0) continue;
      Seen& view = seen[static_cast<std::size_t>(group)];
      if (view.at != n) look(inputs, n, group, view);
      MatrixD g;
      if (static_cast<Index>(positions.size()) == positions_) {
        g = (own * view.middle).cwiseAbs();
        if (wide) g.noalias() += own.cwiseAbs() * view.half;
      } else {
        g = (own * view.middle(positions, Eigen::all)).cwiseAbs();
        if (wide) g.noalias() += own.cwiseAbs() * view.half(positions, Eigen::all);
      }
      loss(row) += g.cwiseProduct(radius_.middleRows(first, channels)).sum();
    }
  }
  return loss;
}

}  // namespace temblor
