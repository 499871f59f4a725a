#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include <temblor/bounds/moves_reach.hpp>
#include <temblor/bounds/taps.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// What the outputs of a layer read: `seen` [positions x depth] by the channels [first, first + channels) of
/// one image; to [channels x positions].
using PatchReach = std::function<void(const MatrixD& seen, Index first, Eigen::Ref<MatrixD> to)>;

/// A dense layer has one position and one group.
MatrixD by_patch(const Network& network, int node, const MatrixD& magnitude, const PatchReach& reach) {
  const auto& own = network.nodes()[static_cast<std::size_t>(node)];
  const Weights& weights = network.weights(own.weights);
  MatrixD result(magnitude.rows(), own.shape.size());
  if (!shares_kernel(*own.layer)) {
    for (Index n = 0; n < magnitude.rows(); ++n) {
      reach(magnitude.row(n), 0, Eigen::Map<MatrixD>(result.row(n).data(), result.cols(), 1));
    }
    return result;
  }
  const int input = own.inputs.front();
  const Shape& shape = input < 0 ? network.input() : network.nodes()[static_cast<std::size_t>(input)].shape;
  const Taps taps(own, shape, weights.weight.cols());
  const Index channels = weights.weight.rows() / taps.groups;
  MatrixD seen;
  for (Index n = 0; n < magnitude.rows(); ++n) {
    for (Index group = 0; group < taps.groups; ++group) {
      taps.gather(magnitude.row(n).data() + group * taps.plane, seen);
      double* to = result.row(n).data() + group * channels * taps.positions;
      reach(seen, group * channels, Eigen::Map<MatrixD>(to, channels, taps.positions));
    }
  }
  return result;
}

/// At least the sum of the k largest; `values` are moved about.
double largest_sum(std::vector<double>& values, std::int64_t k) {
  const auto count = std::min<std::size_t>(values.size(), static_cast<std::size_t>(k));
  const auto end = values.begin() + static_cast<std::ptrdiff_t>(count);
  if (end != values.end()) std::nth_element(values.begin(), end, values.end(), std::greater<>());
  double sum = 0;
  for (auto value = values.begin(); value != end; ++value) sum += *value;
  return sum * (1 + gamma64(static_cast<Index>(count) + 8));
}

}  // namespace

MatrixD ball_reach(const Network& network, const Moves& moves, int node, const MatrixD& magnitude) {
  const auto& own = network.nodes()[static_cast<std::size_t>(node)];
  const double radius = moves.l2_of(own.weights) + moves.row_of(own.weights);
  if (radius == 0) return MatrixD::Zero(magnitude.rows(), own.shape.size());
  const bool bias = moves.biases && network.weights(own.weights).bias.size() > 0;
  return by_patch(network, node, magnitude, [&](const MatrixD& seen, Index, Eigen::Ref<MatrixD> to) {
    to.rowwise() = (size_of(seen, bias) * (radius * (1 + 0x1p-50))).transpose();
  });
}

MatrixD budget_reach(const Network& network, const Moves& moves, int node, const MatrixD& magnitude) {
  const auto& own = network.nodes()[static_cast<std::size_t>(node)];
  const Allowance allowance = moves.allowance(own.weights);
  if (!allowance) return MatrixD::Zero(magnitude.rows(), own.shape.size());
  std::vector<double> changes;
  return by_patch(network, node, magnitude, [&](const MatrixD& seen, Index first, Eigen::Ref<MatrixD> to) {
    for (Index p = 0; p < seen.rows(); ++p) {
      const VectorD z = seen.row(p).transpose();
      if (allowance.uniform()) {
        // One number for all channels.
        changes.assign(z.data(), z.data() + z.size());
        for (double& change : changes) {
          change *= allowance.each->uniform;
          if (std::isnan(change)) change = std::numeric_limits<double>::infinity();
        }
        if (allowance.each->bias_uniform > 0) changes.push_back(allowance.each->bias_uniform);
        to.col(p).setConstant(largest_sum(changes, moves.budget.count));
        continue;
      }
      const auto order = descending(z);
      for (Index c = 0; c < to.rows(); ++c) {
        Largest largest(moves.budget.count);
        largest.add_output(first + c, allowance, z, order);
        to(c, p) = largest.sum();
      }
    }
  });
}

}  // namespace temblor
