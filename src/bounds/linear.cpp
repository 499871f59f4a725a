#include <algorithm>

#include <temblor/bounds/enclosure.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

/// Rows carried backward at once: bounds the memory of wide layers.
constexpr Index row_chunk = 2048;
/// Relative allowance for one rounded product, quotient or difference.
constexpr double ulp = 0x1p-52;

/// One dense layer in double, its radius grown by what rounding the products a W and |a| R may lose: with
/// R' = (R + 2 gamma |W|) (1 + 4 gamma), the computed a W - |a| R' is never above the exact a W - |a| R.
struct Affine {
  MatrixD weight;  ///< [outputs x inputs]
  VectorD bias;    ///< [outputs]
  double uniform;  ///< R' where it is the same for every weight
  MatrixD radius;  ///< R' otherwise [outputs x inputs]
  VectorD slack;   ///< r' [outputs]
};

Affine affine(const MatrixD& weight, const VectorD& bias, const Radius* box) {
  const double gamma = gamma64(weight.rows() + weight.cols() + 8);
  const double grow = 1 + 4 * gamma;
  Affine layer{weight, bias.size() != 0 ? bias : VectorD::Zero(weight.rows()), 0, {}, {}};
  if (box != nullptr && box->weight.size() != 0) {
    layer.radius = (box->weight + 2 * gamma * weight.cwiseAbs()) * grow;
  } else {
    layer.uniform = ((box != nullptr ? box->uniform : 0) + 2 * gamma * weight.cwiseAbs().maxCoeff()) * grow;
  }
  layer.slack = VectorD::Constant(weight.rows(), box != nullptr ? box->bias_uniform : 0);
  if (box != nullptr && box->bias.size() != 0) layer.slack = box->bias;
  return layer;
}

/// Linear functions v^T z + constant of one hidden layer's activations, one a row, each for one image of the
/// block. `size` bounds the sum of magnitudes that went into `constant`: its rounding error is at most gamma
/// * size.
struct Forms {
  MatrixD v;
  VectorD constant;
  VectorD size;
  std::vector<Index> image;

  explicit Forms(Index units) : v(0, units) {}
  void resize(Index rows) {
    v.resize(rows, v.cols());
    constant.resize(rows);
    size.resize(rows);
    image.resize(static_cast<std::size_t>(rows));
  }
};

/// The lines that enclose relu(p) on [l, u], [images x units] each: lower p * below, upper p * above +
/// offset.
struct Lines {
  MatrixD below;
  MatrixD above;
  MatrixD offset;
};

Lines lines(const Interval& p) {
  Lines lines{MatrixD::Zero(p.lower.rows(), p.lower.cols()), {}, {}};
  lines.above = lines.below;
  lines.offset = lines.below;
  for (Index i = 0; i < p.lower.size(); ++i) {
    const double l = p.lower.data()[i];
    const double u = p.upper.data()[i];
    if (u <= 0) continue;
    if (l >= 0) {
      lines.below.data()[i] = lines.above.data()[i] = 1;
      continue;
    }
    lines.below.data()[i] = u >= -l ? 1 : 0;
    lines.above.data()[i] = std::min(1.0, u / (u - l) * (1 + 8 * ulp));
    lines.offset.data()[i] = -l * lines.above.data()[i] * (1 + 4 * ulp);
  }
  return lines;
}

/// A chain of dense layers with ReLU between them, for one block of images.
class Chain {
 public:
  Chain(const BoxProblem& problem, const Enclosures& enclosures) {
    const Network& network = problem.network;
    for (int m = 0; m + 1 < network.layers(); ++m) {
      const Weights& weights = network.weights(m);
      const auto& box = problem.radius[static_cast<std::size_t>(m)];
      layers_.push_back(
          affine(weights.weight.cast<double>(), weights.bias.cast<double>(), box ? &*box : nullptr));
      limits_.push_back(enclosures.moved(network.node_of(m)));
    }
    for (std::size_t m = 0; m < layers_.size(); ++m) {
      if (m > 0) tighten(m);
      lines_.push_back(lines(limits_[m]));
    }
  }

  std::size_t hidden() const { return layers_.size(); }
  Index units(std::size_t layer) const { return layers_[layer].weight.rows(); }

  /// Lower limits of the forms, given on the activations of hidden layer `layer`.
  VectorD minimum(Forms& forms, std::size_t layer) const {
    for (std::size_t m = layer;; --m) {
      relax(forms, m);
      if (m == 0) return first_layer(forms);
      const Affine& below = layers_[m];
      const MatrixD size = forms.v.cwiseAbs();
      forms.constant += forms.v * below.bias - size * below.slack;
      forms.size += size * (below.bias.cwiseAbs() + below.slack);
      MatrixD next = forms.v * below.weight;
      if (below.radius.size() != 0) {
        next.noalias() -= size * below.radius;
      } else {
        next.colwise() -= below.uniform * size.rowwise().sum();
      }
      forms.v = std::move(next);
    }
  }

 private:
  /// From coefficients on relu(p) to coefficients on p.
  void relax(Forms& forms, std::size_t m) const {
    const Lines& line = lines_[m];
    for (Index row = 0; row < forms.v.rows(); ++row) {
      const Index n = forms.image[static_cast<std::size_t>(row)];
      auto v = forms.v.row(row).array();
      const double shift = (v.min(0.0) * line.offset.row(n).array()).sum();
      forms.constant(row) += shift;
      forms.size(row) -= shift;
      v = v.max(0.0) * line.below.row(n).array() + v.min(0.0) * line.above.row(n).array();
    }
  }

  /// The first layer's pre-activations fill their box [l, u]: the minimum over it, less every rounding so
  /// far.
  VectorD first_layer(const Forms& forms) const {
    const Interval& p = limits_.front();
    const double gamma = gamma64(8 * (forms.v.cols() + static_cast<Index>(layers_.size()) + 8) + 4096);
    VectorD low(forms.v.rows());
    for (Index row = 0; row < forms.v.rows(); ++row) {
      const Index n = forms.image[static_cast<std::size_t>(row)];
      const auto a = forms.v.row(row).array();
      const auto lower = p.lower.row(n).array();
      const auto upper = p.upper.row(n).array();
      const double value = (a.max(0.0) * lower + a.min(0.0) * upper).sum() + forms.constant(row);
      const double size = (a.abs() * lower.abs().max(upper.abs())).sum() + forms.size(row) + std::abs(value);
      low(row) = value - gamma * size;
    }
    return low;
  }

  /// Replaces the limits of the units of layer m that are unstable by those of the backward pass, where
  /// tighter.
  void tighten(std::size_t m) {
    Interval& limits = limits_[m];
    std::vector<std::pair<Index, Index>> unstable;  // image, unit
    for (Index n = 0; n < limits.lower.rows(); ++n) {
      for (Index k = 0; k < limits.lower.cols(); ++k) {
        if (limits.lower(n, k) < 0 && limits.upper(n, k) > 0) unstable.emplace_back(n, k);
      }
    }
    const Affine& layer = layers_[m];
    const auto total = static_cast<Index>(unstable.size());
    for (Index begin = 0; begin < total; begin += row_chunk / 2) {
      const Index units = std::min(row_chunk / 2, total - begin);
      Forms forms(layer.weight.cols());
      forms.resize(2 * units);
      for (Index i = 0; i < units; ++i) {
        const auto [n, k] = unstable[static_cast<std::size_t>(begin + i)];
        for (const int side : {0, 1}) {
          const double sign = side == 0 ? 1 : -1;
          const Index row = 2 * i + side;
          forms.v.row(row) = sign * layer.weight.row(k);
          if (layer.radius.size() != 0) {
            forms.v.row(row) -= layer.radius.row(k);
          } else {
            forms.v.row(row).array() -= layer.uniform;
          }
          forms.constant(row) = sign * layer.bias(k) - layer.slack(k);
          forms.size(row) = std::abs(layer.bias(k)) + layer.slack(k);
          forms.image[static_cast<std::size_t>(row)] = n;
        }
      }
      const VectorD low = minimum(forms, m - 1);
      for (Index i = 0; i < units; ++i) {
        const auto [n, k] = unstable[static_cast<std::size_t>(begin + i)];
        limits.lower(n, k) = std::max(limits.lower(n, k), low(2 * i));
        limits.upper(n, k) = std::min(limits.upper(n, k), -low(2 * i + 1));
      }
    }
  }

  std::vector<Affine> layers_;
  std::vector<Interval> limits_;  ///< pre-activations of the hidden layers
  std::vector<Lines> lines_;
};

MatrixD linear_drops(const BoxProblem& problem, Index first, Index count) {
  const Network& network = problem.network;
  const int last = static_cast<int>(network.nodes().size()) - 1;
  const Enclosures enclosures(problem, first, count, last);
  MatrixD value = interval_drops(problem, enclosures, first, count);
  if (network.layers() < 2) return value;

  const Chain chain(problem, enclosures);
  const int top = network.layers() - 1;
  const Weights& weights = network.weights(top);
  const auto& box = problem.radius[static_cast<std::size_t>(top)];
  const Interval& nominal = enclosures.nominal(network.nodes().back().inputs.front());
  const double sign = problem.rise ? -1 : 1;
  const auto by_label = rows_by_label(problem.data, first, count);
  for (std::size_t y = 0; y < by_label.size(); ++y) {
    if (by_label[y].empty()) continue;
    const auto rows = margin_rows(weights, box ? &*box : nullptr, static_cast<std::int32_t>(y));
    const Affine margins = affine(sign * rows.weight, sign * rows.bias, box ? &rows.radius : nullptr);
    Interval before;
    affine_interval(margins.weight, margins.bias, nullptr,
                    {nominal.lower(by_label[y], Eigen::all), nominal.upper(by_label[y], Eigen::all)}, before);
    const Index classes = margins.weight.rows();
    const Index images_a_chunk = std::max<Index>(1, row_chunk / classes);
    const auto images = static_cast<Index>(by_label[y].size());
    MatrixD start = margins.weight;
    if (margins.radius.size() != 0) {
      start -= margins.radius;
    } else {
      start.array() -= margins.uniform;
    }
    for (Index begin = 0; begin < images; begin += images_a_chunk) {
      const Index n = std::min(images_a_chunk, images - begin);
      Forms forms(start.cols());
      forms.resize(n * classes);
      for (Index i = 0; i < n; ++i) {
        forms.v.middleRows(i * classes, classes) = start;
        forms.constant.segment(i * classes, classes) = margins.bias - margins.slack;
        forms.size.segment(i * classes, classes) = margins.bias.cwiseAbs() + margins.slack;
        for (Index j = 0; j < classes; ++j) {
          forms.image[static_cast<std::size_t>(i * classes + j)] =
              by_label[y][static_cast<std::size_t>(begin + i)];
        }
      }
      const VectorD low = chain.minimum(forms, chain.hidden() - 1);
      for (Index i = 0; i < n; ++i) {
        const Index image = by_label[y][static_cast<std::size_t>(begin + i)];
        for (Index j = 0; j < classes; ++j) {
          const double drop = (before.upper(begin + i, j) - low(i * classes + j)) * (1 + 2 * ulp);
          value(image, j) = std::min(value(image, j), drop);
        }
      }
    }
  }
  return value;
}

}  // namespace

BoundValues linear_bound(const BoundContext& context) {
  return box_bound(context, linear_drops);
}

std::string refuses_linear(const Network& network, const ThreatSet& set) {
  if (auto why = refuses_box(network, set); !why.empty()) return why;
  if (auto why = refuses_chain(network); !why.empty()) return why;
  for (const auto& node : network.nodes()) {
    if (node.layer->elementwise() && node.layer->kind() != "relu") {
      return "activation '" + node.name + "' (" + std::string(node.layer->kind()) + ") is not a ReLU";
    }
  }
  return {};
}

}  // namespace temblor
