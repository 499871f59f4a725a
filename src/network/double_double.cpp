#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#endif

#include <temblor/network/affine_interval.hpp>
#include <temblor/network/double_double.hpp>

// Compiled with -ffp-contract=off: a product that is fused into the sum behind it is no longer the one whose
// error is taken.

namespace temblor {
namespace {

/// What products below the normal range may lose.
constexpr double underflow = 1e-300;
constexpr Index lanes = 4;
constexpr Index panel_width = 2 * lanes;
constexpr std::size_t tile = 2;  // rows: 8 accumulators, 2 weights, 2 inputs of 16 registers

#if defined(__AVX2__) && defined(__FMA__)
using Quad = __m256d;
inline Quad load(const double* from) {
  return _mm256_loadu_pd(from);
}
inline void store(double* to, Quad a) {
  _mm256_storeu_pd(to, a);
}
inline Quad all(double a) {
  return _mm256_set1_pd(a);
}
inline Quad plus(Quad a, Quad b) {
  return _mm256_add_pd(a, b);
}
inline Quad minus(Quad a, Quad b) {
  return _mm256_sub_pd(a, b);
}
inline Quad times(Quad a, Quad b) {
  return _mm256_mul_pd(a, b);
}
inline Quad times_plus(Quad a, Quad b, Quad c) {
  return _mm256_fmadd_pd(a, b, c);
}
inline Quad times_minus(Quad a, Quad b, Quad c) {
  return _mm256_fmsub_pd(a, b, c);
}
#else
struct Quad {
  std::array<double, lanes> lane;
};
template <class Function>
inline Quad each(const Function& function) {
  Quad result;
  for (std::size_t i = 0; i < lanes; ++i) result.lane[i] = function(i);
  return result;
}
inline Quad load(const double* from) {
  return each([&](std::size_t i) { return from[i]; });
}
inline void store(double* to, const Quad& a) {
  std::copy_n(a.lane.begin(), lanes, to);
}
inline Quad all(double a) {
  return each([&](std::size_t) { return a; });
}
inline Quad plus(const Quad& a, const Quad& b) {
  return each([&](std::size_t i) { return a.lane[i] + b.lane[i]; });
}
inline Quad minus(const Quad& a, const Quad& b) {
  return each([&](std::size_t i) { return a.lane[i] - b.lane[i]; });
}
inline Quad times(const Quad& a, const Quad& b) {
  return each([&](std::size_t i) { return a.lane[i] * b.lane[i]; });
}
inline Quad times_plus(const Quad& a, const Quad& b, const Quad& c) {
  return each([&](std::size_t i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
}
inline Quad times_minus(const Quad& a, const Quad& b, const Quad& c) {
  return each([&](std::size_t i) { return std::fma(a.lane[i], b.lane[i], -c.lane[i]); });
}
#endif

inline double plus(double a, double b) {
  return a + b;
}
inline double minus(double a, double b) {
  return a - b;
}

/// a becomes the nearest double to a + b, b what that leaves (Knuth).
template <class T>
inline void two_sum(T& a, T& b) {
  const T sum = plus(a, b);
  const T part = minus(sum, a);
  b = plus(minus(a, minus(sum, part)), minus(b, part));
  a = sum;
}

/// P rows and one panel.
template <std::size_t P>
inline void run_tile(const std::array<const double*, P>& high, const std::array<const double*, P>& low,
                     const double* weights, const double* bias, Index n,
                     std::array<std::array<double, 2 * panel_width>, P>& out) {
  Quad sum[P][2], rest[P][2];
  for (std::size_t p = 0; p < P; ++p) {
    for (Index v = 0; v < 2; ++v) {
      sum[p][v] = load(bias + v * lanes);
      rest[p][v] = all(0);
    }
  }
  for (Index k = 0; k < n; ++k, weights += panel_width) {
    const Quad w[2] = {load(weights), load(weights + lanes)};
    for (std::size_t p = 0; p < P; ++p) {
      const Quad h = all(high[p][k]);
      const Quad l = all(low[p][k]);
      for (std::size_t v = 0; v < 2; ++v) {
        Quad product = times(w[v], h);
        const Quad error = times_minus(w[v], h, product);
        two_sum(sum[p][v], product);
        rest[p][v] = plus(rest[p][v], plus(product, times_plus(w[v], l, error)));
      }
    }
  }
  for (std::size_t p = 0; p < P; ++p) {
    for (Index v = 0; v < 2; ++v) {
      two_sum(sum[p][v], rest[p][v]);
      store(out[p].data() + v * lanes, sum[p][v]);
      store(out[p].data() + panel_width + v * lanes, rest[p][v]);
    }
  }
}

void like(const DoubleDouble& in, DoubleDouble& out) {
  out.high.resize(in.high.rows(), in.high.cols());
  out.low.resize(in.high.rows(), in.high.cols());
  out.radius.resize(in.high.rows(), in.high.cols());
}

/// A sum of n double-doubles. The result is off by at most 2 gamma_{n+4}^2 times the sum of their magnitudes
/// and the factor's.
class Sum {
 public:
  void add(double sign, double high, double low, double radius) {
    size_ += std::abs(high);
    double rest = sign * high;
    two_sum(high_, rest);
    low_ += rest + sign * low;
    radius_ += radius;
    ++terms_;
  }
  void put(double factor, DoubleDouble& out, Index to) const {
    double high = factor * high_;
    double low = std::fma(factor, low_, std::fma(factor, high_, -high));
    two_sum(high, low);
    out.high.data()[to] = high;
    out.low.data()[to] = low;
    const double rounding = gamma64(terms_ + 4);
    out.radius.data()[to] =
        std::abs(factor) * (radius_ + 2 * rounding * rounding * size_) * (1 + gamma64(terms_ + 8)) +
        underflow;
  }

 private:
  double high_ = 0;
  double low_ = 0;
  double radius_ = 0;
  double size_ = 0;
  Index terms_ = 0;
};

}  // namespace

DoubleDouble double_double(const Interval& values) {
  DoubleDouble out;
  out.high = 0.5 * values.lower + 0.5 * values.upper;
  out.low = MatrixD::Zero(out.high.rows(), out.high.cols());
  out.radius = (values.upper - out.high).cwiseMax(out.high - values.lower) * (1 + 0x1p-51);
  return out;
}

Interval enclosing(const DoubleDouble& values) {
  constexpr double all_numbers = std::numeric_limits<double>::infinity();
  Interval out{values.high, values.high};
  for (Index i = 0; i < values.high.size(); ++i) {
    const double high = values.high.data()[i];
    const double low = values.low.data()[i];
    const double radius = values.radius.data()[i];
    if (!std::isfinite(high) || !std::isfinite(low) || !std::isfinite(radius)) {
      out.lower.data()[i] = -all_numbers;
      out.upper.data()[i] = all_numbers;
    } else if (low != 0 || radius != 0) {
      const double more = (std::abs(low) + radius) * 0x1p-51 + std::abs(high) * 0x1p-52 + underflow;
      out.lower.data()[i] = high + (low - radius - more);
      out.upper.data()[i] = high + (low + radius + more);
    }
  }
  return out;
}

DoubleDoubleProduct::DoubleDoubleProduct(const Eigen::Ref<const Matrix>& weight,
                                         const Eigen::Ref<const Vector>& bias)
    : outputs_(weight.rows()), inputs_(weight.cols()), size_(weight.cast<double>().cwiseAbs()) {
  const double rounding = gamma64(inputs_ + 4);
  rounding_ = rounding * rounding;
  const Index panels = (outputs_ + panel_width - 1) / panel_width;
  panels_.resize(static_cast<std::size_t>(panels * inputs_ * panel_width), 0.0);
  bias_.resize(static_cast<std::size_t>(panels * panel_width), 0.0);
  constant_ = Eigen::RowVectorXd::Constant(outputs_, underflow);
  for (Index i = 0; i < outputs_; ++i) {
    double* to = panels_.data() + i / panel_width * inputs_ * panel_width + i % panel_width;
    for (Index k = 0; k < inputs_; ++k) to[k * panel_width] = weight(i, k);
    if (bias.size() == 0) continue;
    bias_[static_cast<std::size_t>(i)] = bias(i);
    constant_(i) += 2 * rounding_ * std::abs(static_cast<double>(bias(i)));
  }
}

MatrixD DoubleDoubleProduct::spread(const DoubleDouble& in) const {
  return in.radius + rounding_ * in.high.cwiseAbs();
}

void DoubleDoubleProduct::multiply(const DoubleDouble& in, DoubleDouble& out) const {
  const Index rows = in.high.rows();
  out.high.resize(rows, outputs_);
  out.low.resize(rows, outputs_);
  out.radius.noalias() = in.radius * size_.transpose();
  out.radius *= 1 + 2 * gamma64(inputs_ + 8);
  out.radius.rowwise() += constant_;
  std::array<std::array<double, 2 * panel_width>, tile> sums{};
  for (Index first = 0; first < outputs_; first += panel_width) {
    const Index width = std::min(panel_width, outputs_ - first);
    const double* weights = panels_.data() + first * inputs_;
    for (Index row = 0; row < rows; row += static_cast<Index>(tile)) {
      // The last row may stand in for one that is not there.
      const auto own = [&](const MatrixD& values, Index r) {
        return values.data() + std::min(row + r, rows - 1) * inputs_;
      };
      run_tile<tile>({own(in.high, 0), own(in.high, 1)}, {own(in.low, 0), own(in.low, 1)}, weights,
                     bias_.data() + first, inputs_, sums);
      for (Index r = 0; r < std::min(static_cast<Index>(tile), rows - row); ++r) {
        const double* from = sums[static_cast<std::size_t>(r)].data();
        std::copy_n(from, width, out.high.data() + (row + r) * outputs_ + first);
        std::copy_n(from + panel_width, width, out.low.data() + (row + r) * outputs_ + first);
      }
    }
  }
}

void add(std::span<const DoubleDouble* const> in, std::span<const double> signs, DoubleDouble& out) {
  like(*in.front(), out);
  for (Index i = 0; i < out.high.size(); ++i) {
    Sum sum;
    for (std::size_t k = 0; k < in.size(); ++k) {
      const DoubleDouble& term = *in[k];
      sum.add(k < signs.size() ? signs[k] : 1, term.high.data()[i], term.low.data()[i],
              term.radius.data()[i]);
    }
    sum.put(1, out, i);
  }
}

void add_cells(const DoubleDouble& in, Index from, std::span<const std::int32_t> cells, double factor,
               DoubleDouble& out, Index to) {
  Sum sum;
  for (const std::int32_t cell : cells) {
    const Index i = from + cell;
    sum.add(1, in.high.data()[i], in.low.data()[i], in.radius.data()[i]);
  }
  sum.put(factor, out, to);
}

void bend(const DoubleDouble& in, double slope, double least, double most, DoubleDouble& out) {
  out = in;
  for (Index i = 0; i < in.high.size(); ++i) {
    const double high = in.high.data()[i];
    const double near = in.radius.data()[i] + std::abs(in.low.data()[i]);
    const double end = std::clamp(high, least, most);
    if (high <= least || high >= most) {
      // Off by no more than the input is, and by nothing where the input cannot come back.
      out.high.data()[i] = end;
      out.low.data()[i] = 0;
      out.radius.data()[i] = std::abs(high - end) >= 4 * near ? 0 : 2 * near;
    } else if (high < 0 && slope != 1) {
      Sum sum;
      sum.add(1, high, in.low.data()[i], in.radius.data()[i]);
      sum.put(slope, out, i);
      // Where the kink is within reach, the radius is not scaled.
      if (-high < 4 * near) out.radius.data()[i] += 2 * near;
    }
  }
}

}  // namespace temblor
