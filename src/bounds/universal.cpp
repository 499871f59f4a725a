#include <algorithm>
#include <cmath>
#include <limits>

#include <tbb/parallel_for.h>

#include <temblor/bounds/backward.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/bounds/linear.hpp>
#include <temblor/bounds/pairs.hpp>
#include <temblor/bounds/tail.hpp>
#include <temblor/bounds/universal.hpp>
#include <temblor/network/affine_interval.hpp>

namespace temblor {
namespace {

using Boxes = std::vector<std::optional<Radius>>;

/// Rows and columns that one task takes: fixed, so that results do not depend on the threads.
constexpr Index stretch = 64;

/// Images, one row each, as the shared pass needs them.
struct Images {
  std::vector<Interval> limits;  ///< hidden pre-activations, tightened
  Interval pixels;               ///< [images x inputs]; both ends are equal where images stay
  MatrixD logits;                ///< [images x classes]: e_y - e_j, j the runner-up
  VectorD before;                ///< margin of the unperturbed network, rounded up
  VectorD alone;                 ///< bound on the margin drop of this image by itself
  VectorD gain;                  ///< what another class may gain on the runner-up at most, not negative

  explicit Images(const BoxProblem& problem)
      : pixels(entering(problem, true, 0, problem.data.size())),
        logits(MatrixD::Zero(problem.data.size(), problem.network.classes())),
        before(problem.data.size()),
        alone(problem.data.size()),
        gain(VectorD::Zero(problem.data.size())) {
    for (int m = 0; m + 1 < problem.network.layers(); ++m) {
      const Index units = problem.network.weights(m).weight.rows();
      limits.push_back({MatrixD(problem.data.size(), units), MatrixD(problem.data.size(), units)});
    }
  }
};

/// The pair with the smallest margin, and the drop that `drops` allows the margin.
void runner_up(const BoxProblem& problem, const MatrixD& margins, const MatrixD& drops, Index first, Index n,
               Images& images, Index& rival) {
  const Index y = problem.data.labels[static_cast<std::size_t>(first + n)];
  double after = std::numeric_limits<double>::infinity();
  rival = -1;
  for (Index j = 0; j < margins.cols(); ++j) {
    if (j == y) continue;
    if (rival < 0 || margins(n, j) < margins(n, rival)) rival = j;
    after = std::min(after, margins(n, j) - drops(n, j));
  }
  const double before = margins(n, rival);
  images.before(first + n) = before;
  images.alone(first + n) = std::max(0.0, before - after) + 0x1p-50 * (std::abs(before) + std::abs(after));
  images.logits(first + n, y) = 1;
  images.logits(first + n, rival) = -1;
}

MatrixD matrix_of(const Radius* radius, const MatrixD& weight) {
  if (radius == nullptr) return MatrixD::Zero(weight.rows(), weight.cols());
  if (radius->weight.size() != 0) return radius->weight;
  return MatrixD::Constant(weight.rows(), weight.cols(), radius->uniform);
}

VectorD slack_of(const Radius* radius, Index outputs) {
  if (radius == nullptr) return VectorD::Zero(outputs);
  if (radius->bias.size() != 0) return radius->bias;
  return VectorD::Constant(outputs, radius->bias_uniform);
}

const Radius* box_at(const Boxes& boxes, std::size_t m) {
  return boxes.empty() || !boxes[m] ? nullptr : &*boxes[m];
}

// Lower limits on a^T (W^ x + b^) for x within its limits, one a row.
VectorD one_layer(const Backward& backward, const Radius* radius, const MatrixD& a, const Interval& x) {
  const MatrixD& weight = backward.weight(0);
  const MatrixD reach = matrix_of(radius, weight);
  const VectorD slack = slack_of(radius, weight.rows());
  VectorD low(a.rows());
  for (Index row = 0; row < a.rows(); ++row) {
    const VectorD own = a.row(row).transpose();
    const VectorD least = x.lower.row(row).transpose();
    const VectorD most = x.upper.row(row).transpose();
    const VectorD size = least.cwiseAbs().cwiseMax(most.cwiseAbs());
    const VectorD slope = weight.transpose() * own;
    const double taken = own.cwiseAbs().dot(reach * size + slack);
    const double magnitude =
        own.cwiseAbs().dot(weight.cwiseAbs() * size + backward.bias(0).cwiseAbs()) + taken;
    low(row) = slope.cwiseMax(0.0).dot(least) + slope.cwiseMin(0.0).dot(most) + own.dot(backward.bias(0)) -
               taken - gamma64(weight.rows() + weight.cols() + 16) * magnitude;
  }
  return low;
}

void look_at(const BoxProblem& problem, const Backward& backward, Index first, Index count, Images& images) {
  const Enclosures enclosures(problem, first, count, static_cast<int>(problem.network.nodes().size()) - 1);
  Cases cases = backward.cases(problem.network, enclosures);
  for (std::size_t m = 1; m < backward.hidden(); ++m) backward.tighten(m, cases);
  for (std::size_t m = 0; m < backward.hidden(); ++m) {
    images.limits[m].lower.middleRows(first, count) = cases.limits[m].lower;
    images.limits[m].upper.middleRows(first, count) = cases.limits[m].upper;
  }
  const MatrixD margins = margins_before(problem, enclosures, first, count);
  MatrixD drops = interval_drops(problem, enclosures, first, count);
  if (backward.hidden() > 0) {
    const PairRows rows = pair_rows(problem, first, 0, count);
    Forms forms = backward.logit_forms(rows.logits, rows.at, cases);
    take_smaller_drops(rows, margins, backward.minimum(forms, backward.hidden() - 1, cases), drops);
  }

  // Rows e_rival - e_j: what class j may gain on the runner-up is minus their minimum.
  const Index classes = problem.network.classes();
  MatrixD others = MatrixD::Zero(count * (classes - 2), classes);
  std::vector<Index> at;
  for (Index n = 0; n < count; ++n) {
    Index rival = -1;
    runner_up(problem, margins, drops, first, n, images, rival);
    const Index y = problem.data.labels[static_cast<std::size_t>(first + n)];
    for (Index j = 0; j < classes; ++j) {
      if (j == y || j == rival) continue;
      const auto row = static_cast<Index>(at.size());
      others(row, rival) = 1;
      others(row, j) = -1;
      at.push_back(n);
    }
  }
  if (at.empty()) return;
  VectorD low;
  if (backward.hidden() > 0) {
    Forms gains = backward.logit_forms(others, at, cases);
    low = backward.minimum(gains, backward.hidden() - 1, cases);
  } else {
    const Interval& image = enclosures.moved(-1);
    low = one_layer(backward, box_at(problem.radius, 0), others,
                    {image.lower(at, Eigen::all), image.upper(at, Eigen::all)});
  }
  for (Index row = 0; row < low.size(); ++row) {
    double& gain = images.gain(first + at[static_cast<std::size_t>(row)]);
    gain = std::max(gain, -low(row));
  }
}

MatrixD rows_of(const MatrixD& from, const std::vector<Index>& rows) {
  return from(rows, Eigen::all);
}
Interval rows_of(const Interval& from, const std::vector<Index>& rows) {
  return {rows_of(from.lower, rows), rows_of(from.upper, rows)};
}

/// a * b, in stretches of rows side by side.
MatrixD product(const MatrixD& a, const MatrixD& b) {
  MatrixD result(a.rows(), b.cols());
  tbb::parallel_for(Index{0}, (a.rows() + stretch - 1) / stretch, [&](Index s) {
    const Index count = std::min(stretch, a.rows() - s * stretch);
    result.middleRows(s * stretch, count).noalias() = a.middleRows(s * stretch, count) * b;
  });
  return result;
}

/// The backward pass for the sum over images: a lower limit on sum_n c_n^T f(x_n).
class SharedPass {
 public:
  /// `shared`: one member of these boxes for all images. `own`: on top, one for each image.
  SharedPass(const Backward& backward, const Boxes& shared, const Boxes& own)
      : backward_(backward), shared_(shared), own_(own) {}

  double minimum(const Images& images, const std::vector<Index>& rows) {
    total_ = size_ = 0;
    terms_ = 64;
    for (std::size_t m = 0; m <= backward_.hidden(); ++m) {
      terms_ += 4 * static_cast<Index>(rows.size()) * (backward_.weight(m).rows() + 1);
      terms_ += 4 * backward_.weight(m).size();
    }
    MatrixD a = rows_of(images.logits, rows);
    for (std::size_t m = backward_.hidden(); m > 0; --m) {
      const Interval p = rows_of(images.limits[m - 1], rows);
      const Interval z{p.lower.cwiseMax(0.0), p.upper.cwiseMax(0.0)};
      MatrixD v = step(a, z, m);
      if (m == 1) {
        // Either z^0 fills its box, image by image, or the lines lead on to one shared first layer.
        const double box =
            (v.array().max(0.0) * z.lower.array() + v.array().min(0.0) * z.upper.array()).sum();
        const double box_size = (v.array().abs() * z.upper.array()).sum();
        const double images_alone = rounded(total_ + box, size_ + box_size);
        relax(v, p);
        return std::max(images_alone, first_layer(v, rows_of(images.pixels, rows)));
      }
      relax(v, p);
      a = std::move(v);
    }
    return first_layer(a, rows_of(images.pixels, rows));
  }

 private:
  double rounded(double value, double size) const {
    return value - gamma64(terms_) * (size + std::abs(value)) - 1e-300;
  }

  void constants(const MatrixD& a, std::size_t m) {
    const VectorD sums = a.colwise().sum();
    const VectorD sizes = a.cwiseAbs().colwise().sum();
    const VectorD& bias = backward_.bias(m);
    const double shared = slack_of(box_at(shared_, m), a.cols()).dot(sums.cwiseAbs());
    const double own = slack_of(box_at(own_, m), a.cols()).dot(sizes);
    total_ += sums.dot(bias) - shared - own;
    size_ += sizes.dot(bias.cwiseAbs() + slack_of(box_at(shared_, m), a.cols()));
  }

  // From coefficients on p^m to coefficients on z^{m-1} in [z.lower, z.upper], not negative.
  MatrixD step(const MatrixD& a, const Interval& z, std::size_t m) {
    constants(a, m);
    const MatrixD& weight = backward_.weight(m);
    MatrixD effective = weight;
    MatrixD radius = matrix_of(box_at(shared_, m), weight);
    if (box_at(shared_, m) != nullptr) {
      const MatrixD up = a.cwiseMax(0.0).transpose();
      const MatrixD down = a.cwiseMin(0.0).transpose();
      MatrixD low = product(up, z.lower) + product(down, z.upper);
      MatrixD high = product(up, z.upper) + product(down, z.lower);
      const MatrixD slack = product(up - down, z.upper) * gamma64(a.rows() + 8);
      low -= slack;
      high += slack;
      for (Index i = 0; i < weight.size(); ++i) {
        const double l = low.data()[i];
        const double h = high.data()[i];
        const double width = h - l;
        double sigma = width > 0 ? (std::abs(h) - std::abs(l)) / width : 0;
        if (!(std::abs(sigma) <= 1)) sigma = sigma > 0 ? 1 : -1;
        const double size = std::abs(l) + std::abs(h);
        const double tau = std::max(std::abs(l) - sigma * l, std::abs(h) - sigma * h) + 0x1p-50 * size;
        effective.data()[i] -= radius.data()[i] * sigma;
        total_ -= radius.data()[i] * tau;
        size_ += radius.data()[i] * size;
      }
    }
    // As BoxAdversary: what the product a W' loses, and each image's own box.
    const double gamma = gamma64(weight.rows() + weight.cols() + 8);
    const MatrixD loss =
        (matrix_of(box_at(own_, m), weight) + 2 * gamma * (weight.cwiseAbs() + radius)) * (1 + 4 * gamma);
    return product(a, effective) - product(a.cwiseAbs(), loss);
  }

  void relax(MatrixD& v, const Interval& p) {
    const Lines lines = enclosing_lines(p);
    const double drop = (v.array().min(0.0) * lines.offset.array()).sum();
    total_ += drop;
    size_ -= drop;
    v = (v.array().max(0.0) * lines.below.array() + v.array().min(0.0) * lines.above.array()).matrix();
  }

  // The worst shared W^ takes off R_ij |g_ij|, g = sum_n a_n x_n^T; images that move do so one by one in W.
  double first_layer(const MatrixD& a, const Interval& pixels) {
    constants(a, 0);
    const MatrixD largest = pixels.lower.cwiseAbs().cwiseMax(pixels.upper.cwiseAbs());
    const MatrixD size = product(a.cwiseAbs().transpose(), largest);
    const MatrixD& weight = backward_.weight(0);
    const MatrixD radius = matrix_of(box_at(shared_, 0), weight);
    const MatrixD own = matrix_of(box_at(own_, 0), weight);
    if (pixels.lower == pixels.upper) {
      const MatrixD g = product(a.transpose(), pixels.lower);
      total_ += weight.cwiseProduct(g).sum() - radius.cwiseProduct(g.cwiseAbs()).sum();
    } else {
      const MatrixD slope = product(a, weight);
      total_ +=
          (slope.array().max(0.0) * pixels.lower.array() + slope.array().min(0.0) * pixels.upper.array())
              .sum();
      const MatrixD up = a.cwiseMax(0.0).transpose();
      const MatrixD down = a.cwiseMin(0.0).transpose();
      const MatrixD low = product(up, pixels.lower) + product(down, pixels.upper);
      const MatrixD high = product(up, pixels.upper) + product(down, pixels.lower);
      total_ -= radius.cwiseProduct(low.cwiseAbs().cwiseMax(high.cwiseAbs())).sum();
    }
    total_ -= own.cwiseProduct(size).sum();
    size_ += (weight.cwiseAbs() + radius + own).cwiseProduct(size).sum();
    return rounded(total_, size_);
  }

  const Backward& backward_;
  const Boxes& shared_;
  const Boxes& own_;
  double total_ = 0;
  double size_ = 0;
  Index terms_ = 0;  ///< at least the additions of one pass
};

/// Upper limit on the mean margin drop. `problem` has the boxes that hidden limits must hold for: shared and
/// own together.
double mean_drop(const BoxProblem& problem, const Boxes& shared, const Boxes& own) {
  const Index count = problem.data.size();
  const Backward backward(problem);
  Images images(problem);
  const Index block = bound_block(problem.network);
  tbb::parallel_for(Index{0}, (count + block - 1) / block, [&](Index b) {
    look_at(problem, backward, b * block, std::min(block, count - b * block), images);
  });
  const double all_alone = images.alone.sum();
  double least = all_alone;
  // An image joins the shared sum when the gain of other classes costs it less than `share` of its own bound.
  for (const double share : {1.0, 0.5, 0.2, 0.05}) {
    std::vector<Index> rows;
    double before = 0, gain = 0, rest = 0;
    for (Index n = 0; n < count; ++n) {
      if (images.gain(n) > share * images.alone(n)) {
        rest += images.alone(n);
        continue;
      }
      rows.push_back(n);
      before += images.before(n);
      gain += images.gain(n);
    }
    if (rows.empty()) break;
    const double low = SharedPass(backward, shared, own).minimum(images, rows);
    const double size = std::abs(before) + gain + rest + std::abs(low);
    least = std::min(least, before + gain + rest - low + gamma64(8 * count + 64) * size);
  }
  return std::max(0.0, least) / static_cast<double>(count) * (1 + 0x1p-40);
}

// The part of `grown` that each image has for itself.
Boxes less(const Boxes& grown, const Boxes& shared, const Network& network) {
  Boxes rest(grown.size());
  for (std::size_t m = 0; m < grown.size(); ++m) {
    const MatrixD weight = network.weights(static_cast<int>(m)).weight.cast<double>();
    const Radius* all = box_at(grown, m);
    const Radius* same = box_at(shared, m);
    Radius own;
    own.weight = (matrix_of(all, weight) - matrix_of(same, weight)) + matrix_of(all, weight) * 0x1p-50;
    own.bias = (slack_of(all, weight.rows()) - slack_of(same, weight.rows())) +
               slack_of(all, weight.rows()) * 0x1p-50;
    rest[m] = std::move(own);
  }
  return rest;
}

}  // namespace

namespace {

BoundValues of_chain(const BoundContext& context, const EntryBox* entry) {
  const auto& network = context.network;
  const auto& radius = context.set.radius;
  BoundValues values = linear_chain_bound(context, entry);
  const Moves moves = moves_of(context.set, network);
  values.mean = mean_drop({network, context.data, radius, false, false, moves, nullptr, entry}, radius, {});
  if (!context.arithmetic) return values;
  const auto boxes = float32_boxes(network, context.set);
  const double in_float32 =
      mean_drop({network, context.data, boxes.grown, true, false, moves, nullptr, entry}, radius,
                less(boxes.grown, radius, network));
  // The base network's own rounding may raise the margins that drops start from.
  const MatrixD rise = [&] {
    const BoxProblem problem{network, context.data, boxes.rounded, true, true, {}, nullptr, entry};
    const Backward backward(problem);
    return over_blocks(problem, [&](const BoxProblem& own, Index first, Index count) {
      return linear_drops(own, backward, first, count);
    });
  }();
  const double mean_rise =
      rise.rowwise().maxCoeff().cwiseMax(0.0).sum() / static_cast<double>(context.data.size());
  values.mean_arithmetic =
      (std::max(0.0, in_float32 - *values.mean) + mean_rise) * (1 + 0x1p-40) + *values.mean * 0x1p-50;
  return values;
}

}  // namespace

BoundValues universal_bound(const BoundContext& context) {
  if (refuses_linear_chain(context.network, context.set).empty()) return of_chain(context, nullptr);
  const DenseTail tail(context.network, context.set);
  const EntryBox entry = tail.entry(context.data, context.arithmetic);
  const Dataset data = tail.data(context.data, entry);
  return of_chain({tail.network(), data, tail.set(), context.arithmetic, {}}, &entry);
}

std::string refuses_universal(const Network& network, const ThreatSet& set) {
  ThreatSet still = set;
  still.input = 0;
  if (auto why = refuses_box(network, still); !why.empty()) return why;
  if (auto why = refuses_dense_tail(network, set); !why.empty()) return why;
  if (network.classes() < 2) return "one class has no margin";
  return {};
}

}  // namespace temblor
