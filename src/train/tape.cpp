#include "tape.hpp"

#include <cmath>

#include <temblor/base/error.hpp>

namespace temblor {

using Var = Tape::Var;

Var Tape::add(MatrixD value, Pull pull) {
  nodes_.push_back({std::move(value), {}, std::move(pull)});
  return nodes_.size() - 1;
}

Var Tape::leaf(MatrixD value) {
  return add(std::move(value), nullptr);
}

MatrixD& Tape::gradient(Var x) {
  Node& node = nodes_[x];
  if (node.gradient.size() == 0) node.gradient = MatrixD::Zero(node.value.rows(), node.value.cols());
  return node.gradient;
}

void Tape::backward(Var result, const MatrixD& seed) {
  gradient(result) += seed;
  for (Var x = result + 1; x-- > 0;) {
    const Node& node = nodes_[x];
    if (node.pull && node.gradient.size() != 0) node.pull(*this, node.gradient);
  }
}

Var Tape::product(Var x, Var w) {
  MatrixD out(value(x).rows(), value(w).rows());
  out.noalias() = value(x) * value(w).transpose();
  return add(std::move(out), [x, w](Tape& t, const MatrixD& g) {
    t.accumulate(x, g * t.value(w));
    t.accumulate(w, g.transpose() * t.value(x));
  });
}

Var Tape::transposed(Var a) {
  return add(value(a).transpose(), [a](Tape& t, const MatrixD& g) { t.accumulate(a, g.transpose()); });
}

Var Tape::sum(Var a, Var b) {
  return add(value(a) + value(b), [a, b](Tape& t, const MatrixD& g) {
    t.accumulate(a, g);
    t.accumulate(b, g);
  });
}

Var Tape::difference(Var a, Var b) {
  return add(value(a) - value(b), [a, b](Tape& t, const MatrixD& g) {
    t.accumulate(a, g);
    t.accumulate(b, -g);
  });
}

Var Tape::times(Var a, Var b) {
  return add(value(a).cwiseProduct(value(b)), [a, b](Tape& t, const MatrixD& g) {
    t.accumulate(a, g.cwiseProduct(t.value(b)));
    t.accumulate(b, g.cwiseProduct(t.value(a)));
  });
}

Var Tape::scaled(Var a, double by) {
  return add(value(a) * by, [a, by](Tape& t, const MatrixD& g) { t.accumulate(a, by * g); });
}

Var Tape::shifted(Var a, double by) {
  return add(value(a).array() + by, [a](Tape& t, const MatrixD& g) { t.accumulate(a, g); });
}

Var Tape::magnitude(Var a) {
  return add(value(a).cwiseAbs(), [a](Tape& t, const MatrixD& g) {
    t.accumulate(a, (g.array() * t.value(a).array().sign()).matrix());
  });
}

Var Tape::positive(Var a) {
  return add(value(a).cwiseMax(0.0),
             [a](Tape& t, const MatrixD& g) { t.accumulate(a, (t.value(a).array() > 0).select(g, 0.0)); });
}

Var Tape::negative(Var a) {
  return add(value(a).cwiseMin(0.0),
             [a](Tape& t, const MatrixD& g) { t.accumulate(a, (t.value(a).array() < 0).select(g, 0.0)); });
}

Var Tape::sigmoid(Var a) {
  MatrixD out = value(a).unaryExpr([](double x) {
    const double e = std::exp(-std::abs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
  });
  const MatrixD slope = out.array() * (1.0 - out.array());
  return add(std::move(out),
             [a, slope](Tape& t, const MatrixD& g) { t.accumulate(a, g.cwiseProduct(slope)); });
}

Var Tape::smaller(Var a, Var b) {
  return add(value(a).cwiseMin(value(b)), [a, b](Tape& t, const MatrixD& g) {
    const auto first = t.value(a).array() <= t.value(b).array();
    t.accumulate(a, first.select(g, 0.0));
    t.accumulate(b, first.select(0.0, g));
  });
}

Var Tape::larger(Var a, Var b) {
  return add(value(a).cwiseMax(value(b)), [a, b](Tape& t, const MatrixD& g) {
    const auto first = t.value(a).array() >= t.value(b).array();
    t.accumulate(a, first.select(g, 0.0));
    t.accumulate(b, first.select(0.0, g));
  });
}

Var Tape::row_sums(Var a) {
  return add(value(a).rowwise().sum(),
             [a](Tape& t, const MatrixD& g) { t.accumulate(a, g.col(0).replicate(1, t.value(a).cols())); });
}

Var Tape::add_column(Var a, Var c) {
  return add(value(a).colwise() + value(c).col(0), [a, c](Tape& t, const MatrixD& g) {
    t.accumulate(a, g);
    t.accumulate(c, g.rowwise().sum());
  });
}

Var Tape::add_row(Var a, Var r) {
  return add(value(a).rowwise() + value(r).row(0), [a, r](Tape& t, const MatrixD& g) {
    t.accumulate(a, g);
    t.accumulate(r, g.colwise().sum());
  });
}

Var Tape::outer(Var c, Var s) {
  return add(value(c) * value(s), [c, s](Tape& t, const MatrixD& g) {
    t.accumulate(c, g * t.value(s).transpose());
    t.accumulate(s, t.value(c).transpose() * g);
  });
}

Var Tape::largest_row_norm(Var w) {
  const VectorD norms = value(w).cwiseAbs().rowwise().sum();
  Index row = 0;
  const double largest = norms.maxCoeff(&row);
  return add(MatrixD::Constant(1, 1, largest), [w, row](Tape& t, const MatrixD& g) {
    t.gradient(w).row(row).array() += g(0, 0) * t.value(w).row(row).array().sign();
  });
}

Var Tape::chord(Var l, Var u) {
  MatrixD out(value(l).rows(), value(l).cols());
  for (Index i = 0; i < out.size(); ++i) {
    const double low = value(l).data()[i];
    const double high = value(u).data()[i];
    out.data()[i] = low >= 0 ? 1 : high <= 0 ? 0 : high / (high - low);
  }
  return add(std::move(out), [l, u](Tape& t, const MatrixD& g) {
    const MatrixD& lower = t.value(l);
    const MatrixD& upper = t.value(u);
    MatrixD& grad_lower = t.gradient(l);
    MatrixD& grad_upper = t.gradient(u);
    for (Index i = 0; i < g.size(); ++i) {
      const double low = lower.data()[i];
      const double high = upper.data()[i];
      if (low >= 0 || high <= 0) continue;
      const double slope = g.data()[i] / ((high - low) * (high - low));
      grad_lower.data()[i] += slope * high;
      grad_upper.data()[i] -= slope * low;
    }
  });
}

Var Tape::differences(Var w, std::span<const std::int32_t> labels) {
  const Index classes = value(w).rows();
  const auto images = static_cast<Index>(labels.size());
  MatrixD out(images * classes, value(w).cols());
  for (Index n = 0; n < images; ++n) {
    out.middleRows(n * classes, classes) =
        (-value(w)).rowwise() + value(w).row(labels[static_cast<std::size_t>(n)]);
  }
  std::vector<std::int32_t> owned(labels.begin(), labels.end());
  return add(std::move(out), [w, classes, owned = std::move(owned)](Tape& t, const MatrixD& g) {
    MatrixD& grad = t.gradient(w);
    for (std::size_t n = 0; n < owned.size(); ++n) {
      const auto rows = g.middleRows(static_cast<Index>(n) * classes, classes);
      grad -= rows;
      grad.row(owned[n]) += rows.colwise().sum();
    }
  });
}

Var Tape::times_image(Var pairs, Var x) {
  const MatrixD& image = value(x);
  const Index classes = value(pairs).rows() / image.rows();
  MatrixD out(value(pairs).rows(), image.cols());
  for (Index row = 0; row < out.rows(); ++row) {
    out.row(row) = value(pairs).row(row).cwiseProduct(image.row(row / classes));
  }
  return add(std::move(out), [pairs, x, classes](Tape& t, const MatrixD& g) {
    MatrixD& grad_pairs = t.gradient(pairs);
    MatrixD& grad_x = t.gradient(x);
    for (Index row = 0; row < g.rows(); ++row) {
      grad_pairs.row(row) += g.row(row).cwiseProduct(t.value(x).row(row / classes));
      grad_x.row(row / classes) += g.row(row).cwiseProduct(t.value(pairs).row(row));
    }
  });
}

Var Tape::dots(Var pairs, Var x) {
  const Index images = value(x).rows();
  return folded(row_sums(times_image(pairs, x)), value(pairs).rows() / images);
}

Var Tape::folded(Var column, Index classes) {
  return add(value(column).reshaped<Eigen::RowMajor>(value(column).rows() / classes, classes),
             [column](Tape& t, const MatrixD& g) {
               t.accumulate(column, g.reshaped<Eigen::RowMajor>(g.size(), 1));
             });
}

}  // namespace temblor
