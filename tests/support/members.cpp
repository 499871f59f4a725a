#include "support/members.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace temblor::testing {
namespace {

/// Changes of one layer in double.
struct Shift {
  MatrixD weight;
  VectorD bias;
};

double sign_of(double x) {
  return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0;
}

void add_box(const Radius& radius, const Weights& gradient, Shift& to) {
  for (Index i = 0; i < to.weight.size(); ++i) {
    const double r = radius.weight.size() > 0 ? radius.weight.data()[i] : radius.uniform;
    to.weight.data()[i] -= r * sign_of(static_cast<double>(gradient.weight.data()[i]));
  }
  for (Index i = 0; i < to.bias.size(); ++i) {
    const double r = radius.bias.size() > 0 ? radius.bias(i) : radius.bias_uniform;
    to.bias(i) -= r * sign_of(static_cast<double>(gradient.bias(i)));
  }
}

/// Rows [first, first + count) as one ball.
void add_ball(double radius, bool biases, Index first, Index count, const Weights& gradient, Shift& to) {
  const MatrixD weight = gradient.weight.middleRows(first, count).cast<double>();
  VectorD bias = VectorD::Zero(0);
  if (biases && to.bias.size() > 0) bias = gradient.bias.segment(first, count).cast<double>();
  const double norm = std::sqrt(weight.squaredNorm() + bias.squaredNorm());
  if (norm == 0) return;
  const double scale = radius * (1 - 1e-12) / norm;
  to.weight.middleRows(first, count) -= scale * weight;
  if (bias.size() > 0) to.bias.segment(first, count) -= scale * bias;
}

/// The k parameters, or flips, that pay most.
void add_budget(const Network& network, const ThreatSet& set, const std::vector<Weights>& gradient,
                std::vector<Shift>& to) {
  struct Entry {
    double gain;
    std::size_t layer;
    Index index;  ///< beyond the weights: biases
    double change;
    int bit;
  };
  std::vector<Entry> entries;
  for (const int layer : set.layers) {
    const auto m = static_cast<std::size_t>(layer);
    const Index weights = gradient[m].weight.size();
    if (set.budget.flips != nullptr) {
      const Encoded& codes = set.budget.flips->codes[m];
      for (Index i = 0; i < weights; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const auto before = static_cast<double>(codes.decode(at));
        for (int bit = 0; bit < codes.format->bits; ++bit) {
          const auto after = static_cast<double>(codes.decode(at, codes.codes[at] ^ (1U << bit)));
          const double gain = (before - after) * static_cast<double>(gradient[m].weight.data()[i]);
          if (gain > 0) entries.push_back({gain, m, i, after - before, bit});
        }
      }
      continue;
    }
    const Radius& each = *set.budget.each[m];
    for (Index i = 0; i < weights + to[m].bias.size(); ++i) {
      const bool bias = i >= weights;
      const auto slope =
          static_cast<double>(bias ? gradient[m].bias(i - weights) : gradient[m].weight.data()[i]);
      const double r = bias ? each.bias_uniform : each.uniform;
      if (r * slope != 0) entries.push_back({r * std::abs(slope), m, i, -r * sign_of(slope), 0});
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tuple(-a.gain, a.layer, a.index, a.bit) < std::tuple(-b.gain, b.layer, b.index, b.bit);
  });
  if (std::ssize(entries) > set.budget.count) entries.resize(static_cast<std::size_t>(set.budget.count));
  if (set.budget.flips == nullptr) {
    for (const auto& one : entries) {
      const Index weights = to[one.layer].weight.size();
      double& value = one.index < weights ? to[one.layer].weight.data()[one.index]
                                          : to[one.layer].bias(one.index - weights);
      value += one.change;
    }
    return;
  }
  std::vector<Encoded> codes = set.budget.flips->codes;
  for (const auto& one : entries)
    codes[one.layer].codes[static_cast<std::size_t>(one.index)] ^= 1U << one.bit;
  for (const auto& one : entries) {
    const auto at = static_cast<std::size_t>(one.index);
    const Encoded& now = codes[one.layer];
    to[one.layer].weight.data()[one.index] =
        static_cast<double>(now.decode(at)) -
        static_cast<double>(network.weights(static_cast<int>(one.layer)).weight.data()[one.index]);
  }
}

}  // namespace

std::vector<Weights> margin_gradient(const Network& network, const Matrix& at, Index y, Index j) {
  Activations activations;
  forward(network, network.view(), at, activations);
  Matrix by = Matrix::Zero(1, network.classes());
  by(0, y) = 1;
  by(0, j) = -1;
  std::vector<Weights> gradient;
  for (int m = 0; m < network.layers(); ++m) {
    const auto& own = network.weights(m);
    gradient.push_back({Matrix::Zero(own.weight.rows(), own.weight.cols()), Vector::Zero(own.bias.size())});
  }
  std::vector<Weights*> pointers;
  for (auto& part : gradient) pointers.push_back(&part);
  backward(network, network.view(), at, activations, by, pointers);
  return gradient;
}

Network member_along(const Network& network, const ThreatSet& set, const std::vector<Weights>& gradient) {
  std::vector<Shift> shifts;
  for (int m = 0; m < network.layers(); ++m) {
    const auto& own = network.weights(m);
    shifts.push_back({MatrixD::Zero(own.weight.rows(), own.weight.cols()), VectorD::Zero(own.bias.size())});
  }
  // Flips say what a weight becomes: nothing may be there before.
  if (!set.budget.zero()) add_budget(network, set, gradient, shifts);
  Network moved = network;
  for (const int layer : set.layers) {
    const auto m = static_cast<std::size_t>(layer);
    Shift& shift = shifts[m];
    if (set.radius[m]) add_box(*set.radius[m], gradient[m], shift);
    if (set.frobenius > 0) add_ball(set.frobenius, set.biases, 0, shift.weight.rows(), gradient[m], shift);
    for (Index c = 0; set.row > 0 && c < shift.weight.rows(); ++c)
      add_ball(set.row, set.biases, c, 1, gradient[m], shift);
    Weights weights = network.weights(layer);
    const auto put = [](float& value, double change) {
      value = toward(value, static_cast<double>(value) + change, std::abs(change));
    };
    for (Index i = 0; i < shift.weight.size(); ++i) put(weights.weight.data()[i], shift.weight.data()[i]);
    for (Index i = 0; i < shift.bias.size(); ++i) put(weights.bias(i), shift.bias(i));
    moved = moved.with(layer, std::move(weights));
  }
  return moved;
}

MatrixD reached_by_members(const Network& network, const Dataset& data, const ThreatSet& set, int starts,
                           int steps, Stream& stream) {
  MatrixD reached = MatrixD::Zero(data.size(), network.classes());
  for (int start = 0; start < starts; ++start) {
    MatrixD at = data.images.cast<double>();
    for (Index i = 0; i < at.size() && set.input > 0; ++i) {
      const double x = at.data()[i];
      const double by = stream.below(2) == 1 ? set.input : -set.input;
      at.data()[i] = static_cast<double>(toward(static_cast<float>(x), x + by, set.input));
    }
    std::vector<Weights> random = margin_gradient(network, at.topRows(1).cast<float>(), 0, 1);
    for (auto& part : random) {
      for (Index i = 0; i < part.weight.size(); ++i)
        part.weight.data()[i] = static_cast<float>(stream.normal());
      for (Index i = 0; i < part.bias.size(); ++i) part.bias(i) = static_cast<float>(stream.normal());
    }
    const Network begin = start == 0 ? network : member_along(network, set, random);
    note_drops(network, begin, data, at, reached);
    for (Index n = 0; n < data.size(); ++n) {
      const Index y = data.labels[static_cast<std::size_t>(n)];
      for (Index j = 0; j < network.classes(); ++j) {
        if (j == y) continue;
        Network here = begin;
        for (int step = 0; step < steps; ++step) {
          here = member_along(network, set, margin_gradient(here, at.row(n).cast<float>(), y, j));
          note_drops(network, here, data, at, reached);
        }
      }
    }
  }
  return reached;
}

}  // namespace temblor::testing
