#pragma once

#include "pool.hpp"

#include <algorithm>

#include <temblor/network/double_double.hpp>

namespace temblor {

/// z = (..(x_1 + x_2) + ..) / n over the cells of a window: added in float32 and in order, then multiplied by
/// the float nearest to 1 / n.
class MeanLayer : public Layer, public DoubleDoubleLayer {
 public:
  void forward(Inputs in, const Weights*, Matrix& out) const override {
    out.resize(in[0]->rows(), cells_.outputs());
    cells_.each(in[0]->rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const float* plane = in[0]->data() + from;
      float sum = plane[cells[0]];
      for (const std::int32_t cell : cells.subspan(1)) sum += plane[cell];
      out.data()[to] = sum * share(cells);
    });
  }

  void backward(Inputs, const Matrix&, const Weights*, const Matrix& grad_out,
                std::span<Matrix* const> grad_in, Weights*) const override {
    if (grad_in[0] != nullptr) spread(grad_out, *grad_in[0]);
  }

  void interval(std::span<const Interval* const> in, const Weights*, const Radius*,
                Interval& out) const override {
    mean(in[0]->lower, -1, out.lower);
    mean(in[0]->upper, 1, out.upper);
  }

  bool affine() const override { return true; }
  void pull(const MatrixD& coefficients, const Weights*, std::span<MatrixD* const> on_inputs,
            VectorD*) const override {
    if (on_inputs[0] != nullptr) spread(coefficients, *on_inputs[0]);
  }

  void run(std::span<const DoubleDouble* const> in, const Weights*, DoubleDouble& out) const override {
    for (MatrixD* values : {&out.high, &out.low, &out.radius})
      values->resize(in[0]->high.rows(), cells_.outputs());
    cells_.each(in[0]->high.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      add_cells(*in[0], from, cells, share(cells), out, to);
    });
  }

  double float_error() const override { return 0.0; }
  double float_relative() const override { return 1.01 * 0x1p-24 * static_cast<double>(largest_ + 2); }

 protected:
  /// `count` 0: the mean is over the cells within the image; otherwise over so many.
  void place(const Sliding& sliding, Index count) {
    cells_ = PoolCells(sliding);
    count_ = count;
    largest_ = sliding.taps();
  }

 private:
  /// The multiplier that float32 uses, everywhere: bounds hold for it and not for 1 / n.
  float share(std::span<const std::int32_t> cells) const {
    return 1.0F / static_cast<float>(count_ != 0 ? count_ : static_cast<Index>(cells.size()));
  }

  /// Rounded to the side of `side`.
  void mean(const MatrixD& in, double side, MatrixD& out) const {
    out.resize(in.rows(), cells_.outputs());
    const double gamma = 0x1p-52 * static_cast<double>(largest_ + 2);
    cells_.each(in.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const double* plane = in.data() + from;
      double sum = 0;
      double size = 0;
      for (const std::int32_t cell : cells) {
        sum += plane[cell];
        size += std::abs(plane[cell]);
      }
      out.data()[to] = (sum + side * gamma * size) * static_cast<double>(share(cells));
    });
  }

  template <class Values>
  void spread(const Values& above, Values& below) const {
    using Scalar = typename Values::Scalar;
    cells_.each(above.rows(), [&](Index from, Index to, std::span<const std::int32_t> cells) {
      const Scalar part = above.data()[to] * static_cast<Scalar>(share(cells));
      for (const std::int32_t cell : cells) below.data()[from + cell] += part;
    });
  }

  PoolCells cells_;
  Index count_ = 0;
  Index largest_ = 1;
};

}  // namespace temblor
